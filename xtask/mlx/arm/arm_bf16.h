// Stands before the compiler's header of this name while bindings are made: that one is full of
// intrinsics that only the compiler it came with can read. mlx-c needs nothing of it.
