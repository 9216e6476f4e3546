"""The launcher from the top of the repository, as the image starts it; the same as ``ism serve``."""

from backend.start_production_ai_system import main

if __name__ == "__main__":
    main()
