// y[row] = R(x[row]): one threadgroup to a row.

threadgroup float scratch[WIDTH < 512 ? 1 : WIDTH - WIDTH % 512];

const uint row = threadgroup_position_in_grid.y;
rotate_row<WIDTH, 0>(
    x + row * WIDTH,
    signs,
    scratch,
    y + row * WIDTH,
    thread_index_in_threadgroup,
    threads_per_threadgroup.x);
