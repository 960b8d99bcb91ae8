/** A recorded log played once more, on real servers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { essence, folder, recordsOf } from '../support/archives.ts';
import { nothing, talking } from '../support/talking.ts';

t.test('a source that is none, or a filter that nothing can match, is told before a stream is made', async (t) => {
  const [dir, from] = [folder(t), await talking(t)];
  writeFileSync(join(dir, 'letter.md'), 'dear bob');
  const cases: [string[], RegExp][] = [
    [[join(dir, 'nope.rookery')], /^FILE_UNUSABLE: /],
    [[join(dir, 'letter.md')], /^ARCHIVE_UNSUPPORTED: /],
    [
      ['--filter', 'kind=bogus'],
      /^BAD_REQUEST: --filter kind=bogus: there is no such type of event; there are .*messageSent/,
    ],
    [['--filter', `user=${'x'.repeat(200)}`], /^BAD_ID: the user/],
    [
      ['--conversation', 'team'],
      /^BAD_REQUEST: --conversation goes with --to; of --into it is --filter conversation=…/,
    ],
    [['--user', 'bob'], /^BAD_REQUEST: --user goes with --to; of --into it is --filter user=…/],
    [['-n', '2'], /^BAD_REQUEST: --lines goes with --to; --into plays all that --filter lets through/],
    [['--into-credentials', 'x'], /^BAD_REQUEST: --into-credentials: TRIAL is no address/],
  ];
  for (const [args, stderr] of cases) {
    t.match(await from.run('replay', ...args, '--into', 'TRIAL'), { code: 1, stdout: '', stderr }, args.join(' '));
    await t.rejects(from.operator.jsm.streams.info('TRIAL'), /stream not found/, args.join(' '));
  }
  const unmatched = await from.run('replay', '--into', 'TRIAL', '--speed', 'max', '--filter', 'conversation=nope');
  t.match(unmatched, {
    code: 0,
    stderr: 'nothing matches --filter conversation=nope: 8 events were read and none was played\n',
  });
});

t.test(
  'a log is played into a stream beside it, or into another deployment; a second run changes nothing',
  async (t) => {
    const [dir, from, to] = [folder(t), await talking(t), await nothing(t)];
    t.match(await from.json('replay', '--into', 'TRIAL', '--speed', 'max'), [{ complete: true, stored: 8, known: 0 }]);
    t.match(await from.json('replay', '--into', 'TRIAL', '--speed', 'max'), [{ stored: 0, known: 8 }]);
    const { state } = await from.operator.jsm.streams.info('TRIAL', { subjects_filter: '>' });
    t.match(state, { messages: 8, subjects: { [`TRIAL.${(await recordsOf(from, 'CONV_0'))[0]?.subject}`]: 1 } });

    const file = join(dir, 'log.rookery');
    await from.run('export', file);
    const filter = ['--filter', 'conversation=team,kind=messageSent'];
    t.match(await from.json('replay', file, '--into', to.configFile, '--speed', '1000', ...filter), [{ stored: 3 }]);
    const played = await recordsOf(to, 'CONV_0');
    t.same(essence(played), essence((await recordsOf(from, 'CONV_0')).slice(1, 4)));
    t.match(await from.json('replay', file, '--into', to.configFile, '--speed', 'max'), [{ stored: 5, known: 3 }]);
    for (const bad of [
      ['--speed', 'fast'],
      ['--filter', 'colour=red'],
    ]) {
      t.match(await from.run('replay', '--into', 'TRIAL', ...bad), { code: 1, stderr: /^BAD_REQUEST: / });
    }
    // Subjects below the others are what processes say to each other.
    for (const name of ['CONV_0', 'query', 'notice', 'conv']) {
      t.match(await from.run('replay', '--into', name), { code: 1, stderr: new RegExp(`^BAD_REQUEST: ${name}`) });
    }

    await from.operator.jsm.streams.add({ name: 'OTHER', subjects: ['OTHER.>'] });
    for (const name of ['CONV_0', 'OTHER'])
      t.match(await from.run('streams', 'remove', name), { code: 1, stderr: /^BAD_REQUEST: / });
    t.match(await from.run('streams', 'remove', 'TRIAL'), { code: 0, stdout: 'removed TRIAL\n' });
    t.match(await from.run('streams', 'remove', 'TRIAL'), {
      code: 1,
      stderr: 'STREAM_MISSING: TRIAL: there is no such stream\n',
    });
    t.equal((await from.operator.jsm.streams.info('CONV_0')).state.messages, 8);
  },
);
