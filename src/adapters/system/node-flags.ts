/**
 * How node runs a process of ours. A larger young generation than 4 MiB buys no throughput here (measured: groups of 10 and
 * 500), and what a burst of handshakes leaves in it is never given back: 14 KiB a connection in place of 6 to 8. V8 reads
 * this when it starts, so it cannot be set later. `bin/rookery` and the first line of `cli/rookery.ts` repeat it.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=4'];
