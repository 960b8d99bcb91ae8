/** `rookery dead`: what could not be processed, and a second try for it. */
import type { Command } from 'commander';
import type { Nats } from '../adapters/jetstream/connect.ts';

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

interface Letter {
  /** Sequence on stream DEAD: its number in these commands. */
  readonly number: number;
  readonly worker: string;
  readonly stream: string;
  readonly pos: number;
  readonly at: string;
  readonly reason: string;
  readonly subject: string;
  readonly data: Uint8Array;
}

const EXAMPLES = `
Examples:
  rookery dead list                         of the nats-server of \`rookery dev\`
  rookery dead list --config ops.json       {"nats": {"servers": [...], "credentialsFile": "..."}}
  rookery dead show 3                       one of them, with its bytes
  rookery dead retry 3                      once code that can read it runs`;

export function registerDead(program: Command): void {
  const dead = program
    .command('dead')
    .description('dead letters: events no code could read')
    .addHelpText('after', EXAMPLES);
  dead
    .command('list')
    .description('all of them, a line each')
    .option('--config <file>', 'JSON file with `nats`')
    .option('--json', 'one JSON object a line')
    .action(async (options: Options) => {
      await withNats(options, async (nats) => {
        let count = 0;
        for await (const { data, ...letter } of letters(nats)) {
          count += 1;
          const line = `${letter.number}  ${letter.at}  ${letter.worker}  ${letter.stream}@${letter.pos}  ${data.length} bytes  ${letter.reason}`;
          console.log(options.json ? JSON.stringify({ ...letter, bytes: data.length }) : line);
        }
        if (count === 0 && !options.json) console.log('no dead letters');
      });
    });
  dead
    .command('show')
    .description('one letter with its bytes')
    .argument('<number>', 'as `list` shows it')
    .option('--config <file>', 'JSON file with `nats`')
    .action(async (number: string, options: Options) => {
      await withNats(options, async (nats) => {
        const { data, ...letter } = await letterAt(nats, number);
        for (const [field, value] of Object.entries(letter)) console.log(`${field.padEnd(8)} ${value}`);
        console.log(`base64   ${Buffer.from(data).toString('base64')}`);
      });
    });
  dead
    .command('retry')
    .description('append the event again, for code that can read it now; the letter goes when it is stored')
    .argument('<number>', 'as `list` shows it')
    .option('--config <file>', 'JSON file with `nats`')
    .action(async (number: string, options: Options) => {
      await withNats(options, async (nats) => {
        const letter = await letterAt(nats, number);
        // Once, however often it is tried: the letter's own place is the id.
        const { seq } = await nats.js.publish(letter.subject, letter.data, {
          msgID: `retry:${letter.stream}:${letter.pos}`,
        });
        await nats.jsm.streams.deleteMessage('DEAD', letter.number, false);
        console.log(`appended at ${letter.stream}@${seq}`);
      });
    });
}

async function withNats({ config: file }: Options, work: (nats: Nats) => Promise<void>): Promise<void> {
  const { loadDeployment, operatorSchema } = await import('../processes/configuration/operator.ts');
  const { connected } = await import('./operator.ts');
  const { createLog } = await import('../adapters/system/log.ts');
  const { config } = loadDeployment(operatorSchema, { file });
  const nats = await connected(config.nats, 'operator', 'dead', createLog('cli', 'silent'), file);
  try {
    await work(nats);
  } finally {
    await nats.nc.close();
  }
}

async function* letters(nats: Nats): AsyncGenerator<Letter> {
  const { state } = await nats.jsm.streams.info('DEAD');
  for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
    const message = await nats.jsm.direct.getMessage('DEAD', { next_by_subj: 'dead.>', seq });
    if (!message) return;
    seq = message.seq;
    yield toLetter(message);
  }
}

async function letterAt(nats: Nats, number: string): Promise<Letter> {
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const message = /^[1-9]\d{0,15}$/.test(number)
    ? await nats.jsm.streams.getMessage('DEAD', { seq: Number(number) }).catch(() => undefined)
    : undefined;
  if (!message) throw new RookeryError('NOT_FOUND', `there is no dead letter ${number}`);
  return toLetter(message);
}

interface StoredLetter {
  readonly seq: number;
  readonly subject: string;
  readonly time: Date;
  readonly data: Uint8Array;
  readonly header: { get(name: string): string };
}

function toLetter({ seq, subject, time, data, header }: StoredLetter): Letter {
  const [, worker = '', stream = '', pos = ''] = subject.split('.');
  return {
    number: seq,
    worker,
    stream,
    pos: Number(pos),
    at: time.toISOString(),
    reason: header.get('Rookery-Reason'),
    subject: header.get('Rookery-Subject'),
    data,
  };
}
