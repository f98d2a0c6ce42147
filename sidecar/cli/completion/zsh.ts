// The completion script for zsh: a function of compsys, with `_arguments` for the flags of each place.

import type { Flag } from "../flags.ts";
import { type Place, spellings, valueOf } from "./words.ts";

export function zshScript(places: readonly Place[]): string {
  return `#compdef outrigger
# Completion of outrigger for zsh, printed by "outrigger completion zsh".
_outrigger() {
  local place=
  local -a words_here
  if (( CURRENT > 2 )); then
    place=$words[2]
    # Envoy's flags without a verb.
    if [[ $place == -* ]]; then
      place=run
    else
      shift words
      (( CURRENT-- ))
    fi
    if (( CURRENT > 2 )); then
      case "$place $words[2]" in
        (${inner(places)})
          place="$place $words[2]"
          shift words
          (( CURRENT-- ))
          ;;
      esac
    fi
  fi
  case $place in
${places.map(placeCase).join("\n")}
  esac
}
if [[ $funcstack[1] == _outrigger ]]; then
  _outrigger "$@"
else
  compdef _outrigger outrigger
fi
`;
}

function inner(places: readonly Place[]): string {
  const paths = places.map(({ path }) => path).filter((path) => path.includes(" "));
  return paths.map((path) => `"${path}"`).join("|");
}

function placeCase({ path, flags, words, takesFiles }: Place): string {
  const specs = flags.map(flagSpec);
  if (words.length > 0) {
    specs.push("'1:word:->words'");
  }
  if (takesFiles) {
    specs.push("'*:file:_files'");
  }
  const list = words.map(([word, meaning]) => quote(meaning === "" ? word : `${word}:${meaning}`)).join(" ");
  const describe = words.length === 0 ? "" : `\n      [[ $state != words ]] || _describe word words_here`;
  const local = words.length === 0 ? "" : `\n      local state line\n      words_here=(${list})`;
  return `    (${path === "" ? "''" : quote(path)})${local}
      _arguments ${specs.join(" \\\n        ")}${describe}
      ;;`;
}

function flagSpec(flag: Flag): string {
  const names = spellings(flag);
  const value = valueOf(flag);
  const action = value === "files" ? "_files" : value === "text" || value === "none" ? " " : `(${value.join(" ")})`;
  const label = (flag.value ?? flag.kind).replaceAll(":", "\\:");
  const rest = `[${escape(flag.help)}]${value === "none" ? "" : `:${label}:${action}`}`;
  const repeats = flag.repeats === true;
  const joined = (name: string): string => (value === "none" ? name : name.startsWith("--") ? `${name}=` : `${name}+`);
  return names.length === 1
    ? quote(`${repeats ? "*" : ""}${joined(names[0] ?? "")}${rest}`)
    : `${quote(repeats ? "*" : `(${names.join(" ")})`)}{${names.map(joined).join(",")}}${quote(rest)}`;
}

/** Inside the brackets of a specification. */
function escape(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, "\\$&");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
