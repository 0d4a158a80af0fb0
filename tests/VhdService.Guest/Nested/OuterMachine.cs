using System.Diagnostics;
using System.Text;

namespace VhdService.Guest.Nested;

/// <summary>QEMU with a processor that is emulated and has virtualisation.</summary>
internal static class OuterMachine
{
    /// <summary>The outer machine's first process says every few seconds that it is alive.</summary>
    private const string Heartbeat = "HOST alive";

    private static readonly TimeSpan LongestSilence = TimeSpan.FromMinutes(2);

    /// <summary>Runs it until it switches itself off, or is given up.</summary>
    /// <param name="qemu">The program.</param>
    /// <param name="kernel">The outer machine's kernel.</param>
    /// <param name="disk">Its disk.</param>
    /// <param name="name">Where what is said goes: a path without an ending.</param>
    /// <param name="limit">How long it may take while it is alive.</param>
    public static async Task<OuterRun> RunAsync(string qemu, string kernel, string disk, string name, TimeSpan limit)
    {
        // Without what KVM uses only for machines that are nested once more: the less of the processor is emulated the better. Processors that take turns on one
        // thread of QEMU's take four times as long, and have failed as well. Two serial ports: what the outer kernel says must not fall into the middle of a guest's line.
        string[] arguments =
        [
            "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max,+svm,-vgif,-v-vmsave-vmload", "-smp", "2", "-m", "1024", "-display", "none", "-monitor", "none", "-no-reboot", "-net", "none",
            "-serial", $"file:{name}.console", "-serial", "stdio", "-d", "cpu_reset", "-D", $"{name}.resets",
            "-kernel", kernel, "-append", "console=ttyS0 loglevel=6 root=/dev/nvme0n1 rootwait rw init=/init panic=-1 mitigations=off nokaslr no_timer_check",
            "-drive", $"file={disk},format=raw,if=none,id=root,cache=unsafe", "-device", "nvme,serial=host,drive=root",
        ];
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo(qemu, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true },
        };
        var log = new StringBuilder();
        var errors = new StringBuilder();
        var heard = Stopwatch.GetTimestamp();
        process.OutputDataReceived += (_, line) =>
        {
            Volatile.Write(ref heard, Stopwatch.GetTimestamp());
            if (line.Data is { } text && !text.StartsWith(Heartbeat, StringComparison.Ordinal))
            {
                log.Append(text.TrimEnd('\r')).Append('\n');
            }
        };
        process.ErrorDataReceived += (_, line) => errors.AppendLine(line.Data);
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();

        var started = heard;
        var end = OuterEnd.Itself;
        var exit = process.WaitForExitAsync(); // also for the last line
        while (await Task.WhenAny(exit, Task.Delay(TimeSpan.FromSeconds(1))) != exit)
        {
            end = Stopwatch.GetElapsedTime(Volatile.Read(ref heard)) > LongestSilence ? OuterEnd.Silent
                : Stopwatch.GetElapsedTime(started) > limit ? OuterEnd.Late
                : OuterEnd.Itself;
            if (end != OuterEnd.Itself)
            {
                process.Kill();
                await exit;
                break;
            }
        }

        var run = new OuterRun(log.ToString(), await ReadAsync($"{name}.console"), errors + Faults(await ReadAsync($"{name}.resets")), process.ExitCode, end);
        await File.WriteAllTextAsync($"{name}.log", run.Log);
        return run;
    }

    private static async Task<string> ReadAsync(string path) => File.Exists(path) ? (await File.ReadAllTextAsync(path)).Replace("\r", "", StringComparison.Ordinal) : "";

    // Every processor is reset when the machine is switched on, which needs no telling.
    private static string Faults(string resets) => resets.IndexOf("Triple fault", StringComparison.Ordinal) is >= 0 and var start ? resets[start..] : "";
}
