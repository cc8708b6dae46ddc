"""Judging weights and measuring cost; never imported by the module."""
