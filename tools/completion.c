/* SPDX-License-Identifier: MIT */
#include "completion.h"
#include "commands.h"

#include <string.h>

/* ---- What the table tells ---- */

/* An option's possible values with spaces between; NULL if they are not to be listed. */
static const char *values_of(const struct command *command, int option)
{
    switch (option) {
    case OPT_FORMAT:
        return command->formats;
    case OPT_BY:
        return "visits bytes recency";
    case OPT_THEME:
        return "light dark";
    default:
        return NULL;
    }
}

static bool takes(const struct command *command, int option)
{
    return option == OPT_HELP || (command->options & option) != 0;
}

/* The line of the command's help that tells of an option: what stands behind two spaces. */
static size_t find_help(const struct command *command, const char *name, const char **ret_text)
{
    size_t length = strlen(name);
    for (const char *at = command->help; (at = strstr(at, "--")) != NULL; at += 2) {
        if (strncmp(at + 2, name, length) != 0 || at[2 + length] != ' ')
            continue;
        const char *text = strstr(at, "  ");
        text += strspn(text, " ");
        *ret_text = text;
        return strcspn(text, "\n");
    }
    *ret_text = "tells of the command";
    return strlen(*ret_text);
}

/* The first sentence of a command's help. */
static size_t find_summary(const struct command *command)
{
    size_t length = 0;
    while (command->help[length] != '.' || strchr(" \n", command->help[length + 1]) == NULL)
        length++;
    return length;
}

/* Inside of single quotes; what zsh gives a meaning in descriptions gets a backslash. */
static void out_quoted(struct out *out, const char *text, size_t length, const char *quote,
                       const char *special)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\'') {
            out_text(out, quote);
            continue;
        }
        if (strchr(special, text[i]) != NULL)
            out_char(out, '\\');
        out_char(out, text[i] == '\n' ? ' ' : text[i]);
    }
}

/* ---- bash ---- */

static void out_bash_values(struct out *out, const struct command *command)
{
    for (const struct option *option = long_options; option->name != NULL; option++) {
        const char *values = values_of(command, option->val);
        if (!takes(command, option->val) || values == NULL)
            continue;
        out_text(out, "    ");
        out_text(out, command->name);
        out_text(out, ":--");
        out_text(out, option->name);
        out_text(out, ") words='");
        out_text(out, values);
        out_text(out, "' ;;\n");
    }
}

static void out_bash_options(struct out *out, const struct command *command)
{
    out_text(out, "    ");
    out_text(out, command->name);
    out_text(out, ":*) words='");
    for (const struct option *option = long_options; option->name != NULL; option++) {
        if (!takes(command, option->val))
            continue;
        out_text(out, option->val == OPT_OUTPUT ? "-o --" : "--");
        out_text(out, option->name);
        out_char(out, ' ');
    }
    out_text(out, "' ;;\n");
}

/* Files are what bash completes by itself where this gives nothing. */
static void out_bash(struct out *out)
{
    out_text(out, "_rvdump()\n{\n"
                  "    local words='' current=${COMP_WORDS[COMP_CWORD]}\n"
                  "    case ${COMP_WORDS[1]}:${COMP_WORDS[COMP_CWORD-1]} in\n");
    for (size_t i = 0; i < command_count; i++)
        out_bash_values(out, &commands[i]);
    out_text(out, "    esac\n"
                  "    [[ $words || $current != -* ]] || case ${COMP_WORDS[1]}: in\n");
    for (size_t i = 0; i < command_count; i++)
        out_bash_options(out, &commands[i]);
    out_text(out, "    esac\n"
                  "    if ((COMP_CWORD == 1)); then\n        words='");
    for (size_t i = 0; i < command_count; i++) {
        out_text(out, commands[i].name);
        out_char(out, ' ');
    }
    out_text(out, "--help --version --completion'\n    fi\n"
                  "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}\n"
                  "complete -o default -F _rvdump rvdump\n");
}

/* ---- zsh ---- */

static void out_zsh_option(struct out *out, const struct command *command,
                           const struct option *option)
{
    const char *text, *values = values_of(command, option->val);
    size_t length = find_help(command, option->name, &text);
    out_text(out, option->val == OPT_OUTPUT ? " {-o+,--output=}'[" : " '--");
    if (option->val != OPT_OUTPUT) {
        out_text(out, option->name);
        out_text(out, option->has_arg ? "=[" : "[");
    }
    out_quoted(out, text, length, "'\\''", "[]:\\");
    out_char(out, ']');
    if (option->has_arg) {
        out_text(out, ":value:");
        out_text(out, values != NULL ? "(" : option->val == OPT_OUTPUT ? "_files" : " ");
        out_text(out, values != NULL ? values : "");
        out_text(out, values != NULL ? ")" : "");
    }
    out_char(out, '\'');
}

static void out_zsh_command(struct out *out, const struct command *command)
{
    out_text(out, "    ");
    out_text(out, command->name);
    out_text(out, ") _arguments");
    for (const struct option *option = long_options; option->name != NULL; option++) {
        if (takes(command, option->val))
            out_zsh_option(out, command, option);
    }
    out_text(out, " '*:file:_files' ;;\n");
}

static void out_zsh(struct out *out)
{
    out_text(out, "#compdef rvdump\n\n_rvdump()\n{\n    local -a commands=(\n");
    for (size_t i = 0; i < command_count; i++) {
        out_text(out, "        '");
        out_text(out, commands[i].name);
        out_char(out, ':');
        out_quoted(out, commands[i].help, find_summary(&commands[i]), "'\\''", ":\\");
        out_text(out, "'\n");
    }
    out_text(out, "    )\n"
                  "    if ((CURRENT == 2)); then\n"
                  "        _describe command commands\n"
                  "        compadd -- --help --version --completion\n"
                  "        return\n"
                  "    fi\n"
                  "    local command=$words[2]\n"
                  "    shift words\n"
                  "    ((CURRENT--))\n"
                  "    case $command in\n");
    for (size_t i = 0; i < command_count; i++)
        out_zsh_command(out, &commands[i]);
    out_text(out, "    esac\n}\n\n"
                  "# Run by the completion system as the function's body, or read by a user.\n"
                  "if [ \"$funcstack[1]\" = _rvdump ]; then\n    _rvdump \"$@\"\nelse\n"
                  "    compdef _rvdump rvdump\nfi\n");
}

/* ---- fish ---- */

static void out_fish_option(struct out *out, const struct command *command,
                            const struct option *option)
{
    const char *text, *values = values_of(command, option->val);
    size_t length = find_help(command, option->name, &text);
    out_text(out, "complete -c rvdump -n '__fish_seen_subcommand_from ");
    out_text(out, command->name);
    out_text(out, option->val == OPT_OUTPUT ? "' -s o -l " : "' -l ");
    out_text(out, option->name);
    if (option->has_arg)
        out_text(out, option->val == OPT_OUTPUT ? " -r -F" : " -x");
    if (values != NULL) {
        out_text(out, " -a '");
        out_text(out, values);
        out_char(out, '\'');
    }
    out_text(out, " -d '");
    out_quoted(out, text, length, "\\'", "\\");
    out_text(out, "'\n");
}

static void out_fish(struct out *out)
{
    for (size_t i = 0; i < command_count; i++) {
        out_text(out, "complete -c rvdump -n __fish_use_subcommand -f -a ");
        out_text(out, commands[i].name);
        out_text(out, " -d '");
        out_quoted(out, commands[i].help, find_summary(&commands[i]), "\\'", "\\");
        out_text(out, "'\n");
        for (const struct option *option = long_options; option->name != NULL; option++) {
            if (takes(&commands[i], option->val))
                out_fish_option(out, &commands[i], option);
        }
    }
    out_text(out, "complete -c rvdump -n __fish_use_subcommand -l help -d 'lists the commands'\n"
                  "complete -c rvdump -n __fish_use_subcommand -l version -d 'tells the version'\n"
                  "complete -c rvdump -n __fish_use_subcommand -x -l completion "
                  "-a 'bash zsh fish' -d 'writes completions for a shell'\n");
}

bool completion_out(struct out *out, const char *shell)
{
    static const struct {
        const char *name;
        void (*write)(struct out *out);
    } shells[] = {{"bash", out_bash}, {"zsh", out_zsh}, {"fish", out_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].write(out);
            return true;
        }
    }
    return false;
}
