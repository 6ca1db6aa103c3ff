"""``kubectl olive completion``: what a shell is told, to complete the words of kubectl-olive.

kubectl needs no script: it finds kubectl_complete-olive on the PATH.
"""

from typing import Final

BASH: Final = r"""# kubectl-olive for bash: source <(kubectl olive completion bash)
_kubectl_olive() {
  local IFS=$'\n' answer directive
  answer=$(kubectl_complete-olive "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  directive=${answer##*:}
  COMPREPLY=($(printf '%s\n' "$answer" | sed -e '/^:[0-9]*$/d' -e 's/\t.*//'))
  if [ "$directive" = 0 ]; then compopt -o default 2>/dev/null; fi
}
complete -F _kubectl_olive kubectl-olive
"""

ZSH: Final = r"""#compdef kubectl-olive
# kubectl-olive for zsh: source <(kubectl olive completion zsh), after compinit
_kubectl_olive() {
  local line
  local -a found
  for line in "${(@f)$(kubectl_complete-olive "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :0) _files; return ;;
      :*) ;;
      *) line=${line//:/\\:}; found+=("${line/$'\t'/:}") ;;
    esac
  done
  _describe olive found
}
compdef _kubectl_olive kubectl-olive
"""

SCRIPTS: Final = {"bash": BASH, "zsh": ZSH}
