/**
 * Recent keys by the texts they are made of, one level for each field: an event whose fields were seen together before
 * needs no text put together, which costs more than all else about a key.
 *
 * Bounded: when it is full it begins anew. Long texts hardly repeat and are not kept.
 */

/** A key, and the text it is made of. */
export interface MadeKey {
  readonly text: string
  /** Not to be changed: records share them. */
  readonly bytes: Buffer
}

/** What is known behind some texts. */
export interface KeyBranch {
  /** The key, if these were all texts of one. */
  made: MadeKey | undefined
  /** Branches by the next text. */
  next: Map<string, KeyBranch> | undefined
}

/** Most branches: 5 to 10 MiB with usual keys. */
const BRANCHES_MAX = 32_768
/** Longer texts are not kept, so that memory does not depend on them. */
const TEXT_MAX = 128

/** Keeps keys by the texts of their fields. */
export class KeyTree {
  #root: KeyBranch = { made: undefined, next: undefined }
  #count = 0

  /** Where the texts of a key begin. */
  get root(): KeyBranch {
    return this.#root
  }

  /** The branch behind another text. Of one that is not kept nobody else hears. */
  branch(from: KeyBranch, text: string): KeyBranch {
    return from.next?.get(text) ?? this.#grow(from, text)
  }

  #grow(from: KeyBranch, text: string): KeyBranch {
    const branch: KeyBranch = { made: undefined, next: undefined }
    if (text.length > TEXT_MAX) return branch
    if (this.#count === BRANCHES_MAX) {
      this.#root = { made: undefined, next: undefined }
      this.#count = 0
      return branch
    }
    this.#count += 1
    from.next ??= new Map()
    from.next.set(text, branch)
    return branch
  }
}
