"""The whole program as processes of its own, fed from outside."""
