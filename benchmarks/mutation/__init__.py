"""Mutation testing of the core with cosmic-ray: `docs/mutation.md` says how, and what came of it."""
