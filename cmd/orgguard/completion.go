package main

import "github.com/urfave/cli/v2"

// shells are the scripts that make a shell ask orgguard how a word may go on: the
// words so far, then the flag by which the flag library knows the question.
var shells = map[string]string{
	"bash": `# orgguard completion --shell bash: source this, or keep it in /etc/bash_completion.d
_orgguard() {
  local word=${COMP_WORDS[COMP_CWORD]} asked=("${COMP_WORDS[@]:0:COMP_CWORD}")
  [[ $word == -* ]] && asked+=("$word")
  mapfile -t COMPREPLY < <(compgen -W "$("${asked[@]}" --generate-bash-completion 2>/dev/null)" -- "$word")
}
complete -o default -F _orgguard orgguard
`,
	"zsh": `#compdef orgguard
# orgguard completion --shell zsh: keep this as _orgguard in a folder of $fpath
_orgguard() {
  local -a asked answers
  asked=("${(@)words[1,CURRENT-1]}")
  [[ ${words[CURRENT]} == -* ]] && asked+=("${words[CURRENT]}")
  answers=("${(@f)$("${asked[@]}" --generate-bash-completion 2>/dev/null)}")
  if (( ${#answers} )) && [[ -n ${answers[1]} ]]; then compadd -a answers; else _files; fi
}
if [[ $funcstack[1] == _orgguard ]]; then _orgguard "$@"; else compdef _orgguard orgguard; fi
`,
	"fish": `# orgguard completion --shell fish: keep this in ~/.config/fish/completions/orgguard.fish
function __orgguard_answers
  set -l asked (commandline -opc)
  set -l word (commandline -ct)
  string match -q -- '-*' $word; and set -a asked $word
  $asked --generate-bash-completion 2>/dev/null
end
complete -c orgguard -a '(__orgguard_answers)'
`,
}

func newCompletionCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "completion",
		Usage:       "print the script with which a shell completes commands and flags",
		Description: "bash: source <(orgguard completion --shell bash)",
		Flags:       []cli.Flag{&cli.StringFlag{Name: "shell", Usage: "the `SHELL`: bash, fish or zsh", Value: "bash"}},
		Action: func(c *cli.Context) error {
			script, ok := shells[c.String("shell")]
			if !ok {
				return usage("--shell %q: there are %v", c.String("shell"), sortedKeys(shells))
			}
			_, err := s.out.Write([]byte(script))
			return err
		},
	}
}
