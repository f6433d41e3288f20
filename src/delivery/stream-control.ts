/**
 * What a stream has whose topics can be changed while it is open (`?control=1`). It is stored with the client, and never changed in place.
 * Delivery itself uses only `name` and `notice`.
 */
export interface StreamControl {
  /** 128 random bits, base64url. Knowing it is the permission to change a stream that has no owner: it is never logged whole. */
  readonly name: string;
  /** Names the principal that opened the stream, and alone may change it; absent = it was opened without a token. */
  readonly owner?: string | undefined;
  /** The dialect of Mercure in which its topics were requested, and are changed. */
  readonly dialect: "0.x" | "draft-08";
  /** The data of the m2push-topics event that Mongrel2 has not taken yet; absent = none is due. */
  readonly notice?: string | undefined;
}
