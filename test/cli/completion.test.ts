/** `rookery completion`, as a shell that is there makes use of it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli', 'rookery.ts');
const script = (shell: string): string =>
  execFileSync(process.execPath, [CLI, 'completion', shell], { encoding: 'utf8' });

t.test('bash completes commands, subcommands, arguments and flags', async (t) => {
  const bash = script('bash');
  const completed = (...words: string[]): string[] => {
    const list = ['rookery', ...words].map((word) => `'${word}'`).join(' ');
    const ask = `${bash}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length}; _rookery; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', ask], { encoding: 'utf8' })
      .split('\n')
      .filter((word) => word !== '');
  };
  t.same(completed('ta'), ['tail']);
  t.same(completed('dead', 're'), ['retry']);
  t.same(completed('rebuild', '--shadow', 'in'), ['inbox']);
  t.same(completed('tail', '--conversation', 'x', '--si'), ['--since']);
  t.same(completed('tail', '--kind', 'messageS'), ['messageSent']);
  t.same(completed('tail', '-n', '3', '--kind', 'messageSent,unr'), ['messageSent,unreadable']);
  t.ok(completed('tail', '--kind', '').includes('groupCreated'));
  t.ok(completed('verify', '--').includes('--repair'));
  t.same(completed('completion', ''), ['bash', 'zsh', 'fish']);
});

t.test('zsh and fish are told the same commands', async (t) => {
  t.match(script('zsh'), /^#compdef rookery\n.*'tail'\).*'--since:/s);
  t.match(script('fish'), /complete -c rookery -f -n '__fish_use_subcommand' -a tail -d '/);
  t.match(script('fish'), /complete -c rookery -n '__fish_seen_subcommand_from tail' -l since -r/);
  t.match(script('fish'), / -l kind -r -f -a '.*messageSent.* unreadable' -d /);
  t.match(script('zsh'), /'tail --kind'\) _values -s , type .*messageSent/);
  t.match(script('zsh'), /'rebuild'\) words_of=\('inbox' 'read-model'/, 'a word that needs no description has none');
  t.match(
    script('fish'),
    /complete -c rookery -F -n '__fish_seen_subcommand_from import;/,
    'a file is an argument, too',
  );
});

t.test('another shell is refused with a code', async (t) => {
  t.throws(() => execFileSync(process.execPath, [CLI, 'completion', 'tcsh'], { stdio: 'pipe' }), /BAD_REQUEST: tcsh/);
});
