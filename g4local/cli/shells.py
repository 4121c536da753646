"""How bash, zsh and fish ask what Tab offers; PowerShell asks as Typer has it ask."""

from typer import _completion_classes as answers
from typer import _completion_shared as scripts

_BASH = r"""
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" current="${COMP_WORDS[COMP_CWORD]}" word value
    word="${line##*[[:space:]]}"
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        [[ $current == [\"\']* ]] || printf -v value '%%q' "$value"
        [[ $word == *:* && $COMP_WORDBREAKS == *:* ]] && value="${value#"${word%%"${word##*:}"}"}"
        [[ $value == '\~'* ]] && value="${value:1}"
        COMPREPLY+=("$value")
    done < <(env %(autocomplete_var)s=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="$line" "$1" 2>/dev/null | sed '/^$/d')
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
    return 0
}

complete -o default -F %(complete_func)s %(prog_name)s
"""
"""The line is passed on whole, since bash splits words at colons (`e2b:q8_0`); of such a word only what stands behind
the last colon is replaced. What is offered is quoted as it has to be typed, and a folder is not followed by a space.
"""

_ZSH = r"""
#compdef %(prog_name)s

%(complete_func)s() {
    local line="${words[1,CURRENT]}" home= value help
    local -a folders others
    local -i found=1
    [[ $PREFIX == --*=* ]] && compset -P '*='
    [[ $PREFIX == '~/'* ]] && compset -P '\~/' && home='~/'
    while IFS=$'\t' read -r value help; do
        [[ -n $value ]] || continue
        value="${value#"$home"}"
        value="${${value//\\/\\\\}//:/\\:}"
        [[ $value == */ ]] && folders+=("$value") || others+=("$value${help:+:$help}")
    done < <(env %(autocomplete_var)s=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="$line" %(prog_name)s 2>/dev/null)
    (( $#others )) && _describe -V %(prog_name)s others && found=0
    (( $#folders )) && _describe -V %(prog_name)s folders -S '' && found=0
    (( found )) && _files && found=0
    return found
}

compdef %(complete_func)s %(prog_name)s
[[ $zsh_eval_context[-1] == loadautofunc ]] && %(complete_func)s "$@"
"""
"""What stands before the value in `--quant=q4` and in `~/models` is kept as it was typed. A shell that loads this file
at the first Tab is answered at once.
"""

_FISH = r"""
function %(complete_func)s
    set -l flag (string match -r -- '^--[^=]+=' (commandline -ct))
    set -l offered (env %(autocomplete_var)s=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS=(commandline -cp | string collect) %(prog_name)s 2>/dev/null)
    if test -n "$offered"
        printf '%%s\n' "$flag"$offered
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command %(prog_name)s --no-files --keep-order --arguments "(%(complete_func)s)"
"""
"""Asks once where Typer's asks twice, and takes what stands behind `--quant=`, too."""


def prepare() -> None:
    """Let `--install-completion` and `--show-completion` give these scripts instead of Typer's, and help be text.

    Typer's take words apart at colons, leave names with spaces or quotes unquoted, and quote `~`. It would import rich
    to take markup out of help, where there is none, and break it to the terminal's width, where each line is an offer.
    """
    scripts._completion_scripts.update(bash=_BASH, zsh=_ZSH, fish=_FISH)
    answers._sanitize_help_text = lambda text: text
