"""Seven bounded contexts, one database each; they meet only through public/."""
