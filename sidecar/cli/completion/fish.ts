// The completion script for fish: one `complete` line for each word, under the condition that the command line is at its place.

import type { Flag } from "../flags.ts";
import { type Place, valueOf } from "./words.ts";

export function fishScript(places: readonly Place[]): string {
  return `# Completion of outrigger for fish, printed by "outrigger completion fish".
function __outrigger_at
    set -l before (commandline -opc)[2..-1]
    set -l place ''
    if set -q before[1]
        # Envoy's flags without a verb.
        string match -q -- '-*' $before[1]; and set before run
        set place $before[1]
        if set -q before[2]
            switch "$place $before[2]"
                case ${inner(places)}
                    set place "$place $before[2]"
            end
        end
    end
    test "$place" = "$argv[1]"
end
complete -c outrigger -f
${places.flatMap(linesOf).join("\n")}
`;
}

function inner(places: readonly Place[]): string {
  const paths = places.map(({ path }) => path).filter((path) => path.includes(" "));
  return paths.map(quote).join(" ");
}

function linesOf({ path, flags, words, takesFiles }: Place): readonly string[] {
  const at = `complete -c outrigger -n ${quote(`__outrigger_at ${quote(path)}`)}`;
  const files = takesFiles ? [`${at} -F`] : [];
  return [
    ...words.map(([word, meaning]) => `${at} -a ${word}${meaning === "" ? "" : ` -d ${quote(meaning)}`}`),
    ...files,
    ...flags.map((flag) => `${at} ${flagOptions(flag)} -d ${quote(flag.help)}`),
  ];
}

function flagOptions(flag: Flag): string {
  const value = valueOf(flag);
  const letter = flag.short === undefined || flag.short === "" ? "" : ` -s ${flag.short}`;
  const takes =
    value === "none"
      ? ""
      : value === "files"
        ? " -r -F"
        : value === "text"
          ? " -x"
          : ` -x -a ${quote(value.join(" "))}`;
  return `-l ${flag.name}${letter}${takes}`;
}

function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}
