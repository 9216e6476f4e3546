"""What is known before anything is learnt: code lists, importers, the knowledge base, texts and column arrays."""
