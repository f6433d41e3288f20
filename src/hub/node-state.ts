/** What the daemons of a cluster report about themselves. */

export interface NodeState {
  /** For operators: host and process. */
  readonly name: string;
  readonly version: string;
  readonly clients: number;
  /** The Mongrel2s that it serves, and those that answer; absent = the node has an older version. */
  readonly mongrel2?: { readonly total: number; readonly live: number };
  readonly epoch: string;
  /** The offset of the newest publication that the node has taken. */
  readonly position: number;
}

/** A node as another node, or the node itself, sees it. */
export interface NodeSnapshot extends NodeState {
  /** The node is the one that reports. */
  readonly self: boolean;
  /** Publications that another node has taken and this one has not. */
  readonly lag: number;
  /** Seconds since its last report. */
  readonly heard: number;
}
