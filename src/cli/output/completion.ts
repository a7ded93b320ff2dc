import type { Argument, Command, Option } from 'commander';

/** Completion scripts of shells, made from the commands as they are. Ids of nodes, pools and bans are asked for at the running proxy. */

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** What only a running proxy knows. */
export const askables = ['nodes', 'pools', 'bans'] as const;
export type Askable = (typeof askables)[number];

/** One command, by its words, such as `node drain`; empty for the program. */
interface Place {
  readonly at: string;
  readonly words: readonly string[];
  readonly asks: Askable | undefined;
  /** What comes after an option, by its name. */
  readonly values: ReadonlyMap<string, Values>;
}

type Values = { readonly asks: Askable } | { readonly words: readonly string[] };

export function completionScript(shell: Shell, program: Command): string {
  const places = placesOf(program, '');
  return { bash, zsh, fish }[shell](places);
}

function placesOf(command: Command, at: string): Place[] {
  const visible = command.createHelp().visibleCommands(command);
  const inner = visible.filter((one) => one.name() !== 'help');
  const argument = command.registeredArguments.find((each) => asksOf(each) !== undefined);
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const options = command.createHelp().visibleOptions(command);
  const place: Place = {
    at,
    words: [
      ...inner.map((one) => one.name()),
      ...choices,
      ...options.flatMap(({ long }) => (long ? [long] : [])),
    ],
    asks: argument && asksOf(argument),
    values: new Map(options.flatMap((option) => valuesOf(option))),
  };
  return [place, ...inner.flatMap((one) => placesOf(one, `${at} ${one.name()}`.trim()))];
}

/** By what an argument says of itself: `<id>` of `node drain`, `<node>` of `client move`. */
function asksOf({ description }: Argument): Askable | undefined {
  if (description === 'ban id') return 'bans';
  return description === 'node id' ? 'nodes' : undefined;
}

function valuesOf({ long, flags, argChoices }: Option): (readonly [string, Values])[] {
  if (!long) return [];
  if (argChoices !== undefined) return [[long, { words: argChoices }]];
  if (long === '--node' && flags.includes('<id>')) return [[long, { asks: 'nodes' }]];
  return long === '--pool' ? [[long, { asks: 'pools' }]] : [];
}

/** For bash and zsh: goes through this part of an array of words, and sets `list` to what may come behind them. */
function listFor(places: readonly Place[], typed: string): string {
  return `  for word in "\${${typed}}"; do
    case "\${at:+$at }$word" in
      ${commandPattern(places, '"')}) at="\${at:+$at }$word" ;;
    esac
    before="$word"
  done
  case "$at|$before" in
${cases(places, (text) => `list=${text}`)}
  esac`;
}

/** Bash ends words at colons, which ids of nodes hold: the line is split here by blanks. */
function bash(places: readonly Place[]): string {
  return `_breakwater() {
  local line="\${COMP_LINE:0:COMP_POINT}"
  local current="\${line##*[[:space:]]}" at="" before="" word list=""
  local -a typed
  read -ra typed <<< "\${line%"$current"}"
${listFor(places, 'typed[@]:1')}
  COMPREPLY=($(compgen -W "$list" -- "$current"))
  local colons="\${current%"\${current##*:}"}"
  COMPREPLY=("\${COMPREPLY[@]#"$colons"}")
}
complete -o default -F _breakwater breakwater
`;
}

function zsh(places: readonly Place[]): string {
  return `#compdef breakwater
_breakwater() {
  local at="" before="" word list=""
${listFor(places, 'words[@]:1:$((CURRENT - 2))')}
  local -a found
  found=(\${=list})
  compadd -a found || _files
}
if [[ "$funcstack[1]" = _breakwater ]]; then _breakwater "$@"; else compdef _breakwater breakwater; fi
`;
}

/** The patterns of a shell's \`case\` that are commands. */
function commandPattern(places: readonly Place[], quote: string): string {
  return places
    .filter(({ at }) => at !== '')
    .map(({ at }) => `${quote}${at}${quote}`)
    .join('|');
}

/** The branches of a shell's \`case\` over \`COMMAND|WORD BEFORE\`. */
function cases(places: readonly Place[], assign: (text: string) => string): string {
  const lines = places.flatMap(({ at, words, asks, values }) => [
    ...[...values].map(([option, value]) => `    "${at}|${option}") ${assign(`"${listText(value)}"`)} ;;`),
    `    "${at}|"*) ${assign(`"${[...words, ...(asks ? [askText(asks)] : [])].join(' ')}"`)} ;;`,
  ]);
  return lines.join('\n');
}

function listText(values: Values): string {
  return 'asks' in values ? askText(values.asks) : values.words.join(' ');
}

function askText(asks: Askable): string {
  return `$(breakwater completion ${asks} 2>/dev/null)`;
}

function fish(places: readonly Place[]): string {
  const commands = places.filter(({ at }) => at !== '').map(({ at }) => `'${at}'`);
  const lines = places.flatMap(({ at, words, asks, values }) => {
    const here = `complete -c breakwater -n "test (__breakwater_at) = '${at}'"`;
    const options = words.filter((word) => word.startsWith('--'));
    const others = words.filter((word) => !word.startsWith('--'));
    return [
      ...(others.length === 0 ? [] : [`${here} -f -a '${others.join(' ')}'`]),
      ...(asks ? [`${here} -f -a '(breakwater completion ${asks} 2>/dev/null)'`] : []),
      ...options.map((option) => {
        const value = values.get(option);
        const list = value && ('asks' in value ? `(${askText(value.asks).slice(2)}` : value.words.join(' '));
        return `${here} -l ${option.slice(2)}${list === undefined ? '' : ` -x -a '${list}'`}`;
      }),
    ];
  });
  return `function __breakwater_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    if contains -- (string trim "$at $word") ${commands.join(' ')}
      set at (string trim "$at $word")
    end
  end
  echo "'$at'" | string trim -c "'"
end
${lines.join('\n')}
`;
}
