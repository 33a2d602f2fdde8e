/**
 * What the shells load. Each asks `manx complete -- WORDS` for candidates: one a line, a tab, a description; a last line
 * `:files` asks for file names. Nothing that comes back is evaluated by the shell, and candidates have no character that
 * would need quotes.
 */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

const BASH = `# manx completion for bash:  source <(manx completion bash)
_manx() {
  local current=\${COMP_WORDS[COMP_CWORD]} line
  local -a lines
  [[ $current == "=" ]] && current=
  mapfile -t lines < <(manx complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=()
  for line in "\${lines[@]}"; do
    case $line in
      :files) compopt -o filenames 2>/dev/null; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done
}
complete -F _manx manx
`;

const ZSH = `#compdef manx
# manx completion for zsh:  source <(manx completion zsh)
_manx() {
  local line value files
  local -a lines entries
  lines=("\${(@f)$(manx complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${lines[@]}"; do
    case $line in
      '') ;;
      :files) files=1 ;;
      *) value=\${line%%$'\\t'*}; entries+=("\${value//:/\\\\:}:\${line#*$'\\t'}") ;;
    esac
  done
  (( \${#entries} )) && _describe manx entries
  [[ -n $files ]] && _files
}
if [[ $funcstack[1] == _manx ]]; then _manx "$@"; else compdef _manx manx; fi
`;

const FISH = `# manx completion for fish:  manx completion fish | source
function __manx_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    test (count $current) -eq 0; and set current ''
    for line in (manx complete -- $words[2..-1] $current 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path $current
        else
            echo $line
        end
    end
end
complete -c manx -f -a '(__manx_complete)'
`;

export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
