"""The engines: each scores how well a receiver fits an offer, behind one contract (`base.Engine`)."""
