"""Runs elsewhere: blocks of text and numbers on any executor, lost ones made again."""
