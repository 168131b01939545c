/* SPDX-License-Identifier: MIT */
/*
 * rvdump: shows, checks, copies, imports and exports stores of librv. Here: arguments and help.
 */
#include "commands.h"
#include "completion.h"
#include "interrupt.h"
#include "output.h"

#include <recent_visits.h>

#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_help(struct out *out, const struct command *command)
{
    out_text(out, "Usage: rvdump ");
    if (command != NULL) {
        out_text(out, command->synopsis);
        out_text(out, "\n\n");
        out_text(out, command->help);
        return;
    }
    out_text(out, "COMMAND STORE [ARGUMENT]...\n\nCommands:\n");
    for (size_t i = 0; i < command_count; i++) {
        out_text(out, "  ");
        out_text(out, commands[i].synopsis);
        out_char(out, '\n');
    }
    out_text(out, "\n'rvdump COMMAND --help' tells more of a command, rvdump(1) the formats.\n"
                  "'rvdump --completion bash|zsh|fish' writes completions for a shell.\n"
                  "\n"
                  "Exit codes: 0 done, 1 other failure, 2 usage, 3 no such user, 4 damaged,\n"
                  "5 busy, 6 input/output error, 7 missing, already there or not permitted,\n"
                  "8 not a store, 9 bad input, 10 damaged but nothing lost.\n");
}

static int help(const struct command *command)
{
    struct out out;
    out_open(&out, STDOUT_FILENO);
    print_help(&out, command);
    return out_finish(&out, EXIT_OK);
}

static int version(void)
{
    struct out out;
    out_open(&out, STDOUT_FILENO);
    out_text(&out, "rvdump " VISIT_VERSION_STRING " (librv ");
    out_text(&out, VisitVersion());
    out_text(&out, ")\n");
    return out_finish(&out, EXIT_OK);
}

static int completion(const char *shell)
{
    struct out out;
    out_open(&out, STDOUT_FILENO);
    if (shell != NULL && completion_out(&out, shell))
        return out_finish(&out, EXIT_OK);
    say("usage: rvdump --completion bash|zsh|fish");
    return EXIT_USAGE;
}

static int usage(const struct command *command)
{
    if (command != NULL)
        say("usage: rvdump %s", command->synopsis);
    else
        say("usage: rvdump COMMAND STORE [ARGUMENT]...; 'rvdump --help' lists the commands");
    return EXIT_USAGE;
}

static bool parse_large(const char *text, uint64_t maximum, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (number > (maximum - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

bool parse_number(const char *text, uint32_t maximum, uint32_t *ret_number)
{
    uint64_t number;
    if (!parse_large(text, maximum, &number))
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool parse_format(const char *formats, const char *name, enum format *ret_format)
{
    static const char *const names[] = {NULL, "jsonl", "csv", "clf", "svg", "png", "html"};
    for (int i = FORMAT_JSONL; i <= FORMAT_HTML; i++) {
        if (strcmp(name, names[i]) == 0 && strstr(formats, name) != NULL) {
            *ret_format = (enum format)i;
            return true;
        }
    }
    return false;
}

static bool parse_by(const char *name, enum by *ret_by)
{
    static const char *const names[] = {"visits", "bytes", "recency"};
    for (int i = BY_VISITS; i <= BY_RECENCY; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_by = (enum by)i;
            return true;
        }
    }
    return false;
}

static bool parse_theme(const char *name, enum theme *ret_theme)
{
    *ret_theme = strcmp(name, "dark") == 0 ? THEME_DARK : THEME_LIGHT;
    return *ret_theme == THEME_DARK || strcmp(name, "light") == 0;
}

/* A number from 1. */
static bool parse_positive(const char *text, uint32_t maximum, uint32_t *ret_number)
{
    return parse_number(text, maximum, ret_number) && *ret_number > 0;
}

/* A tenth of a second to a day. */
static bool parse_seconds(const char *text, double *ret_seconds)
{
    char *end;
    if (text[strspn(text, "0123456789.")] != '\0')
        return false;
    *ret_seconds = strtod(text, &end);
    return *end == '\0' && *ret_seconds >= 0.1 && *ret_seconds <= 86400;
}

static bool take_option(const struct command *command, int option, struct args *args)
{
    switch (option) {
    case OPT_JSON:
        args->json = true;
        return true;
    case OPT_STRICT:
        args->strict = true;
        return true;
    case OPT_YES:
        args->yes = true;
        return true;
    case OPT_BY:
        return parse_by(optarg, &args->by);
    case OPT_COUNT:
        return parse_positive(optarg, UINT32_MAX, &args->count);
    case OPT_SLOT_SIZE:
        return parse_number(optarg, 4096, &args->slot_size) && args->slot_size >= 128 &&
               (args->slot_size & (args->slot_size - 1)) == 0;
    case OPT_SLOT:
        args->has_slot = true;
        return parse_number(optarg, UINT32_MAX, &args->slot);
    case OPT_OFFSET:
        args->has_offset = true;
        return parse_large(optarg, INT64_MAX, &args->offset);
    case OPT_INTERVAL:
        return parse_seconds(optarg, &args->interval);
    case OPT_OUTPUT:
        args->output = optarg;
        return true;
    case OPT_THEME:
        return parse_theme(optarg, &args->theme);
    case OPT_TOP:
        return parse_positive(optarg, UINT32_MAX, &args->top);
    case OPT_FORMAT:
        return parse_format(command->formats, optarg, &args->format);
    case OPT_MAX_VISITS:
        return parse_positive(optarg, VISIT_LIMIT_MAX, &args->max_visits);
    case OPT_FIRST_VISIT_ID:
        return parse_number(optarg, UINT32_MAX, &args->first_visit_id);
    default:
        return false;
    }
}

/* What no single option shows. */
static bool args_agree(const struct command *command, int given, const struct args *args)
{
    if (!(command->options & OPT_FORMAT))
        return true;
    if (args->format == FORMAT_NONE) {
        say("--format is missing");
        return false;
    }
    if (args->format != FORMAT_CLF && (given & OPT_FIRST_VISIT_ID)) {
        say("--first-visit-id goes with --format clf only");
        return false;
    }
    return true;
}

static bool take_operands(const struct command *command, int count, char **operands,
                          struct args *args)
{
    if (count < command->least_operands || count > command->most_operands)
        return false;
    args->store = operands[0];
    args->operand = count > 1 ? operands[1] : NULL;
    return true;
}

/* The option that is wrong: of letters that stand together, as in -json, that which is. */
static void name_option(char **argv, int option, char *ret_name, size_t size)
{
    int value = option == '?' || option == ':' ? optopt : option;
    for (const struct option *known = long_options; known->name != NULL; known++) {
        if (known->val == value) {
            snprintf(ret_name, size, "--%s", known->name);
            return;
        }
    }
    if (value > 0)
        snprintf(ret_name, size, "-%c", value);
    else
        snprintf(ret_name, size, "%s", argv[optind - 1]);
}

/* argv[0] is the command's name. */
static int run_command(const struct command *command, int argc, char **argv)
{
    struct args args = {.first_visit_id = 1};
    int given = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":ho:", long_options, NULL)) != -1) {
        if (option == 'h' || option == OPT_HELP)
            return help(command);
        option = option == 'o' ? OPT_OUTPUT : option;
        if (option == '?' || option == ':' || !(command->options & option)) {
            char name[128];
            name_option(argv, option, name, sizeof name);
            say("%s: %s", name, option == ':' ? "a value is missing" : "no such option here");
            return usage(command);
        }
        if (!take_option(command, option, &args)) {
            say("not allowed as a value: %s", optarg);
            return usage(command);
        }
        given |= option;
    }
    if (!take_operands(command, argc - optind, argv + optind, &args) ||
        !args_agree(command, given, &args))
        return usage(command);
    if (command->ends_in_order)
        interrupt_catch();
    int code = command->run(&args);
    interrupt_follow();
    return code;
}

/* Standard streams that were closed would give their numbers to the store's file, and what is
 * meant for them would be written into it. */
static void hold_standard_streams(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* Opened the wrong way round, so that using them is still an error. */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(EXIT_OTHER);
    }
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    setlocale(LC_CTYPE, "");  /* which characters a table may have */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write(2) */
    signal(SIGXFSZ, SIG_IGN); /* and so is a limit of file sizes */
    if (argc < 2)
        return usage(NULL);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(NULL);
    if (strcmp(argv[1], "--version") == 0)
        return version();
    if (strcmp(argv[1], "--completion") == 0)
        return completion(argv[2]);
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(&commands[i], argc - 1, argv + 1);
    }
    say("no such command: %s", argv[1]);
    return usage(NULL);
}
