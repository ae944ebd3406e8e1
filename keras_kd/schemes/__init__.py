"""Procedures over several models: students that teach each other, chains, generations, stages."""

__all__: list[str] = []
