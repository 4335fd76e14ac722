/** Rows of the table of commands that bring in what others have written. */
import { files, writes } from "./grants.ts";
import type { CommandSpec } from "./command.ts";

export const IMPORTS: readonly CommandSpec[] = [
  {
    name: "import git",
    opens: true,
    about: "Import the commits and branches of a git repository; may be repeated and resumed at any time",
    args: [["<path>", "folder of the repository"]],
    options: [
      { flags: "--range <revisions>", about: "only these commits, as git log takes them (default: all refs)" },
      {
        flags: "--name <name>",
        about:
          "name in the log, commits/<name> (default: its remote.origin.url, as github.com:octocat:hello-world; else the folder's)",
      },
    ],
    examples: ["import git .", "import git ~/src/linux --name linux --range v6.0..v6.1"],
    needs: (call) => ({ ...writes(call), run: ["git"] }),
    load: async () => (await import("./commands/import.ts")).importGit,
  },
  {
    name: "import github",
    opens: true,
    about: "Import GitHub push webhook bodies: a JSON file, or NDJSON with one body a line",
    args: [["<file>", "the bodies; - for standard input"]],
    examples: ["import github push.json", "import github - < pushes.ndjson"],
    needs: (call) => ({ ...writes(call), read: [call.data, ...files(call, call.args[0])] }),
    load: async () => (await import("./commands/import.ts")).importGithub,
  },
  {
    name: "import bench",
    opens: true,
    about: "Import what deno bench --json printed, of any project; the same output again adds nothing",
    args: [["<file...>", "any number of them; - for standard input"]],
    options: [
      { flags: "--project <name>", about: "what was measured (default: the folder you stand in)" },
      { flags: "--commit <sha>", about: "the commit that was measured" },
      { flags: "--time <when>", about: "when it ran, RFC 3339 (default: now)" },
    ],
    examples: [
      "import bench bench.json --project garden",
      "import bench monday.json tuesday.json",
      "import bench - < bench.json",
    ],
    needs: (call) => ({ ...writes(call), read: [call.data, ...files(call, ...call.args)] }),
    load: async () => (await import("./commands/import_bench.ts")).importBench,
  },
  {
    name: "import cloudtrail",
    opens: true,
    about: "Import log files of AWS CloudTrail, each as a whole or not at all; may be repeated and stopped at any time",
    args: [["<file...>", "log files, .json or .json.gz, and folders of them"]],
    examples: [
      "import cloudtrail 111122223333_CloudTrail_us-east-2_20261120T0905Z_Mu0KsOhtH1ar15ZZ.json.gz",
      "import cloudtrail AWSLogs/",
    ],
    needs: (call) => ({ ...writes(call), read: [call.data, ...files(call, ...call.args)] }),
    load: async () => (await import("./commands/import_cloudtrail.ts")).importCloudtrail,
  },
  {
    name: "import sshd",
    opens: true,
    about: "Import logs of OpenSSH's server, each as a whole or not at all; may be repeated and stopped at any time",
    args: [["<file...>", "auth logs of syslog, or what journalctl -o short, json or export printed; plain or gzip"]],
    options: [{
      flags: "--zone <name>",
      about: "zone of times that say none, such as Europe/Berlin (default: this machine's)",
    }],
    examples: ["import sshd /var/log/auth.log /var/log/auth.log.1", "import sshd ssh.json --zone UTC"],
    needs: (call) => ({ ...writes(call), read: [call.data, ...files(call, ...call.args)] }),
    load: async () => (await import("./commands/import_sshd.ts")).importSshd,
  },
];
