/** Passwords are kept as hashes that are slow to make, each with its own salt. */
export interface PasswordHasher {
  hash(password: string): Promise<string>;
  /**
   * Takes the same time for a hash of ours and for none at all, and wherever two passwords differ.
   * @param hash undefined: there is none, so it is wrong
   */
  verify(password: string, hash: string | undefined): Promise<boolean>;
}
