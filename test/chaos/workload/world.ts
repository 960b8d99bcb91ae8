/** People, their devices and their groups, and what they do to each other: all of it left to a seeded chance. */
import { readFileSync } from 'node:fs';
import { SignJWT } from 'jose';
import { directConversationId, directPair, type Entry, type Sending, type UserId } from '../../../src/sdk/index.ts';
import type { Random } from '../random.ts';
import type { WorkloadSettings } from '../settings.ts';
import { Device } from './device.ts';
import type { Recorder } from './recorder.ts';
import { SlowReader } from './slow-reader.ts';

const DEVICES_A_USER = 2;
const SLOW_READERS = 2;
/** Own messages remembered, so that some are sent again, edited or recalled, also long after. */
const REMEMBERED = 400;
/** Sent again at once, or behind any duplicate window of the deployment. */
const RETRY_AFTER_MS = [0, 8_000] as const;
const HTTP_WITHIN_MS = 10_000;
const BURST = 8;

interface Said {
  readonly conversation: string;
  readonly id: string;
  readonly text: string;
}

interface Person {
  readonly name: string;
  readonly devices: readonly Device[];
  /** Newest index seen of each conversation that this one is in. */
  readonly read: Map<string, number>;
  readonly said: Said[];
}

export class World {
  readonly #settings: WorkloadSettings;
  readonly #random: Random;
  readonly #recorder: Recorder;
  readonly #secret: Buffer;
  readonly people: readonly Person[];
  readonly slowReaders: readonly SlowReader[];
  readonly #groups: readonly string[];
  readonly #names: readonly string[];
  readonly #timers = new Set<NodeJS.Timeout>();
  /** By device, ids of the farewells it has not seen yet. */
  readonly #farewells = new Map<Device, Set<string>>();
  #count = 0;
  #isOver = false;

  constructor(settings: WorkloadSettings, random: Random, recorder: Recorder) {
    this.#settings = settings;
    this.#random = random;
    this.#recorder = recorder;
    this.#secret = readFileSync(settings.secretFile);
    this.#names = Array.from({ length: settings.users }, (_, i) => (i % 5 === 4 ? `鸦 ${i}.*` : `user-${i}`));
    this.#groups = Array.from({ length: settings.groups }, (_, i) => `group ${i} of ${settings.seed}`);
    this.people = this.#names.map((name) => this.#person(name));
    this.slowReaders = this.#names.slice(0, SLOW_READERS).map((user) => {
      const shared = { gateways: settings.gateways, token: () => this.#token(user), recorder, random };
      return new SlowReader({ user, device: 'slow', ...shared });
    });
  }

  async begin(): Promise<void> {
    for (const { devices } of this.people) for (const device of devices) await device.open();
    for (const reader of this.slowReaders) reader.start();
    for (const [i, group] of this.#groups.entries()) {
      const owner = this.people[i % this.people.length] as Person;
      const members = this.#names.filter((name) => name !== owner.name && this.#random.chance(0.7));
      this.#command(owner, group, 'createGroup', (client) => client.createGroup(group, group, members));
    }
    for (const person of this.people) this.#later(() => this.#act(person), [20, 120]);
    this.#later(() => this.#comeAndGo(), [400, 1_500]);
    this.#later(() => this.#storm(), [9_000, 20_000]);
  }

  /** Nobody does anything more; all devices come back and stay. */
  async end(): Promise<void> {
    this.#isOver = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const { devices } of this.people) for (const device of devices) await device.open();
    for (const reader of this.slowReaders) reader.catchUp();
  }

  /**
   * Everybody says a last word to everybody, so that in every lane something stands behind all that was said before: a device that
   * has seen it has been brought all the rest. One that is merely quiet may hang on a gateway that is behind.
   */
  sayFarewell(): void {
    for (const person of this.people) {
      for (const device of person.devices) this.#farewells.set(device, new Set());
      for (const other of this.#names) {
        const said = this.#said(person, directConversationId(person.name as UserId, other as UserId), 'farewell');
        for (const device of person.devices) this.#farewells.get(device)?.add(said.id);
        // Refused at once, by somebody who was blocked: it comes to no inbox.
        const forget = (): void => {
          for (const device of person.devices) this.#farewells.get(device)?.delete(said.id);
        };
        this.#send(person, person.devices[0], said)?.durable.catch(forget);
      }
    }
  }

  /** Whether it has seen what its user said last, told or refused. */
  hasSeenFarewell(device: Device): boolean {
    return this.#farewells.get(device)?.size === 0;
  }

  async stop(): Promise<void> {
    for (const reader of this.slowReaders) reader.stop();
    await Promise.all(this.people.flatMap(({ devices }) => devices.map((device) => device.close(0))));
  }

  #person(name: string): Person {
    const read = new Map<string, number>();
    const { gateways } = this.#settings;
    const [random, recorder] = [this.#random, this.#recorder];
    const onEntry = (device: Device, conversation: string, entry: Entry): void => {
      if ('n' in entry) read.set(conversation, Math.max(read.get(conversation) ?? 0, entry.n));
      this.#farewells.get(device)?.delete(entry.id);
    };
    const shared = { user: name, gateways, token: () => this.#token(name), recorder, random, onEntry };
    const devices = Array.from({ length: DEVICES_A_USER }, (_, i) => new Device({ ...shared, name: `device-${i}` }));
    return { name, devices, read, said: [] };
  }

  #token(user: string): Promise<string> {
    return new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(user)
      .setExpirationTime('2h')
      .sign(this.#secret);
  }

  /** One thing, then the next after a while. */
  #act(person: Person): void {
    const chance = this.#random.next();
    if (chance < 0.6) this.#say(person, this.#place(person));
    else if (chance < 0.66) this.#burst(person);
    else if (chance < 0.74) this.#sayAgain(person);
    else if (chance < 0.8) this.#change(person);
    else if (chance < 0.9) this.#markRead(person);
    else if (chance < 0.94) this.#sayOverHttp(person, this.#place(person));
    else if (chance < 0.98) this.#leadGroup(person);
    else this.#block(person);
    this.#later(() => this.#act(person), [20, 160]);
  }

  /** A group or somebody, oneself included; now and then a place where one does not belong. */
  #place({ name }: Person): string {
    if (this.#random.chance(0.6)) return this.#random.pick(this.#groups);
    return directConversationId(name as UserId, this.#random.pick(this.#names) as UserId);
  }

  #device({ devices }: Person): Device | undefined {
    const open = devices.filter(({ client }) => client);
    return open.length === 0 ? undefined : this.#random.pick(open);
  }

  #say(person: Person, conversation: string, device = this.#device(person)): void {
    if (!device) return;
    const said = this.#said(
      person,
      conversation,
      '.'.repeat(this.#random.chance(0.02) ? 20_000 : this.#random.between(0, 200)),
    );
    this.#send(person, device, said);
    if (this.#random.chance(0.05)) this.#later(() => this.#send(person, this.#device(person), said), RETRY_AFTER_MS);
  }

  #said(person: Person, conversation: string, words: string): Said {
    const said = { conversation, id: this.#newId(), text: `${person.name} ${++this.#count} ${words}` };
    person.said.push(said);
    if (person.said.length > REMEMBERED) person.said.shift();
    return said;
  }

  #burst(person: Person): void {
    const device = this.#device(person);
    const conversation = this.#place(person);
    for (let i = 0; i < BURST; i++) this.#say(person, conversation, device);
  }

  #send({ name }: Person, device: Device | undefined, { conversation, id, text }: Said): Sending | undefined {
    if (!device?.client) return undefined;
    const about = { user: name, device: device.name, run: device.run, type: 'messageSent' };
    const op = this.#recorder.invoked({ ...about, conversation, id, text });
    const content = { contentType: 'text/plain', body: new TextEncoder().encode(text) };
    const sending = device.client.send({ conversation }, content, id);
    this.#recorder.follow(op, sending);
    return sending;
  }

  /** The same message once more, from any device, however long ago it was said. */
  #sayAgain(person: Person): void {
    if (person.said.length > 0) this.#send(person, this.#device(person), this.#random.pick(person.said));
  }

  #change(person: Person): void {
    if (person.said.length === 0) return;
    const { conversation, id } = this.#random.pick(person.said);
    const text = `${person.name} meant ${++this.#count}`;
    if (this.#random.chance(0.3)) {
      this.#command(person, conversation, 'messageRecalled', (client) => client.recall(conversation, id));
    } else {
      const content = { contentType: 'text/plain', body: new TextEncoder().encode(text) };
      this.#command(person, conversation, 'messageEdited', (client) => client.edit(conversation, id, content));
    }
  }

  #markRead(person: Person): void {
    if (person.read.size === 0) return;
    const [conversation, n] = this.#random.pick([...person.read]);
    const upTo = Math.max(1, n - this.#random.between(0, 3));
    this.#command(person, conversation, 'conversationRead', (client) => client.markRead(conversation, upTo));
  }

  #sayOverHttp({ name: user, said }: Person, conversation: string): void {
    const { http, apiKey } = this.#settings;
    if (http.length === 0) return;
    const [id, text] = [this.#newId(), `${user} over http ${++this.#count}`];
    said.push({ conversation, id, text });
    const about = { user, device: 'http', run: this.#count, type: 'messageSent' };
    const op = this.#recorder.invoked({ ...about, conversation, id, text });
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ from: user, conversation, clientMsgId: id, contentType: 'text/plain', text });
    const signal = AbortSignal.timeout(HTTP_WITHIN_MS);
    const post = async (): Promise<void> => {
      const answer = await fetch(`${this.#random.pick(http)}/v1/messages`, { method: 'POST', headers, body, signal });
      const { pos, code, duplicate } = (await answer.json()) as { pos: number; code: string; duplicate?: boolean };
      if (answer.ok) this.#recorder.acked(op, pos, duplicate);
      // It may stand in the log or not.
      else if (answer.status >= 500) throw new Error(code);
      else this.#recorder.refused(op, code);
    };
    this.#recorder.own(post().catch((error: unknown) => this.#recorder.failed(op, error)));
  }

  #leadGroup(person: Person): void {
    const group = this.#random.pick(this.#groups);
    const others = this.#names.filter(() => this.#random.chance(0.25));
    const one = this.#random.pick(this.#names);
    switch (this.#random.between(0, 5)) {
      case 0:
      case 1:
        this.#command(person, group, 'membersAdded', (client) => client.addMembers(group, [...others, one]));
        break;
      case 2:
        this.#command(person, group, 'membersRemoved', (client) => client.removeMembers(group, [one]));
        break;
      case 3:
        this.#command(person, group, 'memberLeft', (client) => client.leaveGroup(group));
        break;
      case 4:
        this.#command(person, group, 'groupRenamed', (client) => client.renameGroup(group, `name ${++this.#count}`));
        break;
      default:
        this.#command(person, group, 'roleChanged', (client) => client.changeRole(group, one, 'admin'));
    }
  }

  #block(person: Person): void {
    const other = this.#random.pick(this.#names);
    const conversation = directConversationId(person.name as UserId, other as UserId);
    if (this.#random.chance(0.3)) this.#command(person, conversation, 'userBlocked', (client) => client.block(other));
    else this.#command(person, conversation, 'userUnblocked', (client) => client.unblock(other));
  }

  #command(
    person: Person,
    conversation: string,
    type: string,
    ask: (client: NonNullable<Device['client']>) => ReturnType<NonNullable<Device['client']>['leaveGroup']>,
  ): void {
    const device = this.#device(person);
    if (!device?.client) return;
    const sending = ask(device.client);
    const about = { user: person.name, device: device.name, run: device.run, type };
    this.#recorder.follow(this.#recorder.invoked({ ...about, conversation, id: sending.clientMsgId }), sending);
  }

  #comeAndGo(): void {
    const person = this.#random.pick(this.people);
    const device = this.#random.pick(person.devices);
    if (!device.client) this.#recorder.own(device.open());
    else {
      const close = async (): Promise<void> => {
        await device.close(this.#random.chance(0.5) ? 0 : 500);
        if (this.#random.chance(0.2)) await device.loseStorage();
      };
      this.#recorder.own(close());
    }
    this.#later(() => this.#comeAndGo(), [300, 1_200]);
  }

  /** Half of all devices at once. */
  #storm(): void {
    const devices = this.people.flatMap((person) => person.devices).filter(() => this.#random.chance(0.5));
    const storm = async (): Promise<void> => {
      await Promise.all(devices.map((device) => device.close(0)));
      await Promise.all(devices.map((device) => device.open()));
    };
    this.#recorder.own(storm());
    this.#later(() => this.#storm(), [9_000, 20_000]);
  }

  /** Half of them as the SDK makes them, half any other. */
  #newId(): string {
    return this.#random.chance(0.5) ? crypto.randomUUID() : `id-${this.#settings.seed}-${++this.#count}`;
  }

  #later(work: () => void, [from, to]: readonly [number, number]): void {
    if (this.#isOver) return;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        if (!this.#isOver) work();
      },
      this.#random.between(from, to),
    );
    this.#timers.add(timer);
  }
}

/** Whether the two of a direct conversation are one. */
export const isSelf = (conversation: string): boolean => {
  const pair = directPair(conversation as never);
  return pair !== undefined && pair[0] === pair[1];
};
