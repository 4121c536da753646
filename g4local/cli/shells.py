"""How bash asks what Tab offers; the other shells ask as Typer has them ask."""

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


def prepare() -> None:
    """Let `--install-completion` and `--show-completion` give bash this script instead of Typer's, and help be text.

    Typer's takes a word apart at colons, and offers names with spaces unquoted. It would import rich to take markup out
    of help, where there is none.
    """
    scripts._completion_scripts["bash"] = _BASH
    answers._sanitize_help_text = lambda text: text
