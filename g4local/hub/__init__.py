"""The Hugging Face hub: what lies in a repository, and files of it on this disk, whole and verified or not at all."""
