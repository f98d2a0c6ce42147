// The completion script for bash 3.2 and newer: one `case` of places, in each one of the flags that take a value.

import { type Place, spellings, valueOf } from "./words.ts";

export function bashScript(places: readonly Place[]): string {
  const inner = places.map(({ path }) => path).filter((path) => path.includes(" "));
  return `# Completion of outrigger for bash, printed by "outrigger completion bash".
_outrigger() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} place= flags= words= files= free=
  COMPREPLY=()
  # bash takes --flag=value as three words.
  if [[ $current == = ]]; then
    current=
  elif [[ $before == = ]] && (( COMP_CWORD > 2 )); then
    before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  if (( COMP_CWORD > 1 )); then
    place=\${COMP_WORDS[1]}
    # Envoy's flags without a verb.
    [[ $place != -* ]] || place=run
    if (( COMP_CWORD > 2 )); then
      case "$place \${COMP_WORDS[2]}" in
        ${inner.map((path) => `"${path}"`).join(" | \\\n        ")})
          place="$place \${COMP_WORDS[2]}"
          ;;
      esac
    fi
  fi
  case $place in
${places.filter(hasSomething).map(placeCase).join("\n")}
  esac
  # Flags where one is begun, or where there is nothing else.
  [[ -n $free || ( $current != -* && -n $words$files ) ]] || words=$flags
  [[ -z $words ]] || COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ -n $files && $current != -* ]]; then
    local IFS=$'\\n'
    COMPREPLY+=($(compgen -f -- "$current"))
    compopt -o filenames 2>/dev/null
  fi
}
complete -F _outrigger outrigger
`;
}

function hasSomething({ flags, words, takesFiles }: Place): boolean {
  return takesFiles || flags.length + words.length > 0;
}

function placeCase({ path, flags, words, takesFiles }: Place): string {
  const own = [
    ...(flags.length === 0 ? [] : [`flags="${flags.flatMap(spellings).join(" ")}"`]),
    ...(words.length === 0 ? [] : [`words="${words.map(([word]) => word).join(" ")}"`]),
    ...(takesFiles ? ["files=1"] : []),
  ].join(" ");
  const byAction = new Map<string, string[]>();
  for (const flag of flags) {
    const value = valueOf(flag);
    if (value !== "none") {
      const action = value === "files" ? "files=1" : value === "text" ? "free=1" : `words="${value.join(" ")}"`;
      byAction.set(action, [...(byAction.get(action) ?? []), ...spellings(flag)]);
    }
  }
  const cases = [...byAction].map(([action, names]) => `        ${names.join(" | ")}) ${action} ;;\n`);
  const body =
    cases.length === 0
      ? `      ${own}\n`
      : `      case $before in\n${cases.join("")}        *) ${own} ;;\n      esac\n`;
  return `    "${path}")\n${body}      ;;`;
}
