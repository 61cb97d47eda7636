/** What a SASL mechanism is to the broker: conversations of tokens that end with a user or a refusal. */

/** What follows from one token of the client. */
export type SaslStep =
  /** The client must answer this challenge. */
  | { readonly kind: 'continue'; readonly challenge: Buffer }
  /** The client is `user`; the proof holds until `expiresAtMs`, if that is given (milliseconds since 1970). */
  | { readonly kind: 'done'; readonly answer: Buffer; readonly user: string; readonly expiresAtMs?: number }
  /** The client is refused. Only `message` may reach it; without one it is told no more than that. */
  | { readonly kind: 'failed'; readonly reason: string; readonly message?: string }

/** One conversation with one client. */
export interface SaslConversation {
  /** Takes the client's next token. The bytes are used only until the promise settles. */
  respond(token: Buffer): Promise<SaslStep>
}

/** Starts conversations of one mechanism. */
export type SaslMechanismServer = () => SaslConversation
