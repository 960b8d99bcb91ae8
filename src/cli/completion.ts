/** `rookery completion`: what a shell needs to complete the command line, made from the commands themselves. */
import type { Command } from 'commander';

interface Completed {
  /** As typed: `dead list`; '' for what stands alone. */
  readonly path: string;
  readonly description: string;
  /** Subcommands, and the words an argument may be. */
  readonly words: readonly { readonly name: string; readonly description: string }[];
  /** Whether an argument is a file, also where there are words. */
  readonly takesFile: boolean;
  readonly options: readonly CompletedOption[];
}

interface CompletedOption {
  readonly flag: string;
  readonly description: string;
  readonly takesValue: boolean;
  /** What its value may be, where that is one of a few; several with commas. */
  readonly values: readonly string[];
}

/** Words that an argument may be, where it is one of a few. */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  rebuild: ['inbox', 'read-model', 'fan-out-state'],
  completion: ['bash', 'zsh', 'fish'],
  'config check': ['gateway', 'fan-out-worker', 'read-model-worker', 'dev'],
};

const EXAMPLES = `
Examples:
  source <(rookery completion bash)                                  in ~/.bashrc
  rookery completion zsh > "\${fpath[1]}/_rookery"                    once
  rookery completion fish > ~/.config/fish/completions/rookery.fish  once`;

export function registerCompletion(program: Command): void {
  program
    .command('completion')
    .description('print what completes this command in a shell')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText('after', EXAMPLES)
    .action(async (shell: string) => {
      const { RookeryError } = await import('../protocol/error-codes.ts');
      const script = { bash, zsh, fish }[shell];
      if (!script) throw new RookeryError('BAD_REQUEST', `${shell}: there are bash, zsh and fish`);
      const { EVENT_TYPES } = await import('../domain/conversation-events.ts');
      console.log(script(completedOf(program, { 'tail --kind': [...EVENT_TYPES, 'unreadable'] })));
    });
}

/** @param valuesOf by path and flag what a flag's value may be */
function completedOf(command: Command, valuesOf: Readonly<Record<string, readonly string[]>>, path = ''): Completed[] {
  const subcommands = command.commands.map((one) => ({ name: one.name(), description: one.description() }));
  const values = (ARGUMENTS[path] ?? []).map((name) => ({ name, description: '' }));
  const options = [...command.options, ...command.createHelp().visibleOptions(command)]
    .filter(({ long }, i, all) => long && all.findIndex((other) => other.long === long) === i)
    .map(({ long, description, required, optional }) => ({
      ...{ flag: long ?? '', description },
      takesValue: required || optional,
      values: valuesOf[`${path} ${long}`] ?? [],
    }));
  const takesFile = command.registeredArguments.some((argument) => argument.name() === 'file');
  const own = { path, description: command.description(), words: [...subcommands, ...values], takesFile, options };
  const below = command.commands.flatMap((one) =>
    completedOf(one, valuesOf, path === '' ? one.name() : `${path} ${one.name()}`),
  );
  return [own, ...below];
}

const flagsWithValues = (all: readonly Completed[]) =>
  all.flatMap(({ path, options }) =>
    options.filter(({ values }) => values.length > 0).map(({ flag, values }) => ({ typed: `${path} ${flag}`, values })),
  );

/** The words of a path are followed as far as they name subcommands; flags and their values between them are passed over. */
function bash(all: readonly Completed[]): string {
  const paths = all.filter(({ path }) => path !== '').map(({ path }) => `"${path}"`);
  const cases = all.map(({ path, words, options }) => {
    const flags = options.map(({ flag }) => flag).join(' ');
    return `    "${path}") words="${words.map(({ name }) => name).join(' ')}"; flags="${flags}" ;;`;
  });
  const values = flagsWithValues(all).map(
    ({ typed, values }) =>
      `    "${typed}") COMPREPLY=($(compgen -P "$before" -W "${values.join(' ')}" -- "$last")); return ;;`,
  );
  return `# rookery completion bash
_rookery() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path="" next i words="" flags=""
  local last="\${cur##*,}" before=""
  [[ "$cur" == *,* ]] && before="\${cur%,*},"
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in
      ${paths.join('|')}) path="$next" ;;
    esac
  done
  case "$path \${COMP_WORDS[COMP_CWORD-1]}" in
${values.join('\n')}
  esac
  case "$path" in
${cases.join('\n')}
  esac
  if [[ "$cur" == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  else COMPREPLY=($(compgen -W "$words" -- "$cur")); fi
}
complete -o default -F _rookery rookery`;
}

function zsh(all: readonly Completed[]): string {
  const paths = all.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  const told = ({ name, description }: { readonly name: string; readonly description: string }): string =>
    quoted(name.replaceAll(':', '\\:') + (description && `:${description}`));
  const cases = all.map(({ path, words, options }) => {
    const flags = options.map(({ flag, description }) => told({ name: flag, description }));
    return `    ${quoted(path)}) words_of=(${words.map(told).join(' ')}); flags=(${flags.join(' ')}) ;;`;
  });
  const values = flagsWithValues(all).map(
    ({ typed, values }) => `    ${quoted(typed)}) _values -s , type ${values.join(' ')}; return ;;`,
  );
  return `#compdef rookery
# rookery completion zsh
_rookery() {
  local path_of="" next i
  local -a words_of flags
  for ((i = 2; i < CURRENT; i++)); do
    next="\${path_of:+$path_of }\${words[i]}"
    case "$next" in
      ${paths.join('|')}) path_of="$next" ;;
    esac
  done
  case "$path_of \${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  case "$path_of" in
${cases.join('\n')}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then _describe option flags
  elif (( \${#words_of} )); then _describe command words_of || _files
  else _files; fi
}
if [[ "\${funcstack[1]}" == _rookery ]]; then _rookery "$@"; else compdef _rookery rookery; fi`;
}

function fish(all: readonly Completed[]): string {
  const lines = all.flatMap(({ path, words, takesFile, options }) => {
    const names = path === '' ? [] : path.split(' ');
    const below = words.map(({ name }) => name).join(' ');
    const seen = names.map((name) => `__fish_seen_subcommand_from ${name}`).join('; and ');
    const here = path === '' ? '__fish_use_subcommand' : seen;
    const isOpen = path === '' || below === '' ? here : `${here}; and not __fish_seen_subcommand_from ${below}`;
    return [
      // Words alone would be all that is offered.
      ...(takesFile && words.length > 0 ? [`complete -c rookery -F -n ${quoted(isOpen)}`] : []),
      ...words.map(
        ({ name, description }) => `complete -c rookery -f -n ${quoted(isOpen)} -a ${name} -d ${quoted(description)}`,
      ),
      ...options.map(({ flag, description, takesValue, values }) => {
        const offered = values.length > 0 ? ` -f -a ${quoted(values.join(' '))}` : '';
        const value = takesValue ? ` -r${offered}` : '';
        return `complete -c rookery -n ${quoted(here)} -l ${flag.slice(2)}${value} -d ${quoted(description)}`;
      }),
    ];
  });
  return `# rookery completion fish\n${lines.join('\n')}`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
