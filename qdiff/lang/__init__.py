"""What a program is: tree, expressions, gates, text in and out."""
