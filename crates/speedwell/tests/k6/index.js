// As much of k6 as the exported scripts use, for Node: one thread, no pauses.
export function sleep() {}
