/** Where users stand with each other: a row for each of the two, as that one may see it. */
import type Database from 'better-sqlite3';
import { type ConversationId, directPair, type UserId } from '../../domain/ids.ts';
import type { Contact } from '../../domain/roster.ts';
import type { ContactChange } from '../../ports/read-model.ts';
import type { ContactsPart } from '../../ports/read-queries.ts';
import type { ListedContact } from '../../protocol/account-frames.ts';
import type { Tables } from './lane-file.ts';
import { detailsOf } from './preference-rows.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS contact (
    user TEXT NOT NULL, conversation TEXT NOT NULL, state TEXT NOT NULL, blocked INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (user, conversation)
  ) WITHOUT ROWID;
`;

interface Row {
  readonly conversation: ConversationId;
  readonly state: ListedContact['state'];
  readonly blocked: number;
  readonly at: number;
  readonly details: Uint8Array | null;
}

export class ContactRows implements Tables {
  readonly schema = SCHEMA;
  readonly version = '1';
  #sql!: ReturnType<typeof prepare>;

  opened(db: Database.Database): void {
    this.#sql = prepare(db);
  }

  /** Within the caller's transaction. */
  write({ conversation, contact, blockers, at }: ContactChange): void {
    for (const user of directPair(conversation) ?? []) {
      const [state, isBlocked] = [stateFor(user, contact), blockers.has(user)];
      if (state === 'none' && !isBlocked) this.#sql.remove.run(user, conversation);
      else this.#sql.put.run(user, conversation, state, Number(isBlocked), at);
    }
  }

  contacts(user: UserId, after: ConversationId | undefined, limit: number): ContactsPart {
    const rows = this.#sql.page.all(user, after ?? '', limit + 1) as Row[];
    return { contacts: rows.slice(0, limit).map((row) => contactOf(user, row)), more: rows.length > limit };
  }
}

function contactOf(user: UserId, { conversation, state, blocked, at, details }: Row): ListedContact {
  const other = directPair(conversation)?.find((one) => one !== user) ?? user;
  const { remark, labels } = detailsOf({ details });
  return {
    ...{ user: other, conversation, state, at },
    ...(blocked === 1 && { blocked: true as const }),
    ...(remark && { remark }),
    ...(labels && { labels }),
  };
}

function stateFor(user: UserId, contact: Contact): ListedContact['state'] {
  if (contact.state === 'contacts') return 'contacts';
  if (contact.state !== 'requested') return 'none';
  return contact.by === user ? 'requested' : 'asked';
}

const prepare = (db: Database.Database) => ({
  put: db.prepare('INSERT OR REPLACE INTO contact VALUES (?, ?, ?, ?, ?)'),
  remove: db.prepare('DELETE FROM contact WHERE user = ? AND conversation = ?'),
  page: db.prepare(
    `SELECT contact.conversation, state, blocked, at, details FROM contact
       LEFT JOIN preference USING (user, conversation)
       WHERE contact.user = ? AND contact.conversation > ? ORDER BY contact.conversation LIMIT ?`,
  ),
});
