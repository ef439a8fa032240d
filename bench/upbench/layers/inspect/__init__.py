"""What a layer is before it is trained: what it reads, what it does to simple inputs, and pictures of both."""
