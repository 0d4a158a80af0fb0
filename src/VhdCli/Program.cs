using System.Runtime.InteropServices;

namespace VhdCli;

/// <summary>Where the process begins: its streams, and the signals that end it.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        using var cancel = new CancellationTokenSource();
        var signalled = 0;

        void Stop(PosixSignalContext context)
        {
            context.Cancel = true; // the verb cleans up and ends by itself
            if (Interlocked.CompareExchange(ref signalled, (int)context.Signal, 0) == 0)
            {
                // Not on this thread: what is cancelled may run on for a while.
                ThreadPool.QueueUserWorkItem(static source => ((CancellationTokenSource)source!).Cancel(), cancel);
            }
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop);
        using var session = CliSession.OfProcess();
        var exitCode = await CommandLine.RunAsync(args, session, cancel.Token);
        return exitCode == ExitCode.Interrupted ? ExitCode.OfSignal((PosixSignal)signalled) : exitCode;
    }
}
