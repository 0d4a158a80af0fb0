using System.Runtime.InteropServices;
using System.Text;
using VhdCli.Output;

namespace VhdCli;

/// <summary>Where the process begins: its streams, and the signals that end it.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        using var signals = new Signals();
        using var session = new CliSession(
            StandardStream.OpenInput,
            StandardStream.OpenOutput,
            static () => new StreamWriter(StandardStream.OpenError(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), bufferSize: 256) { AutoFlush = true })
        {
            ErrorIsTerminal = static () => StandardStream.ErrorIsTerminal,
            InputIsTerminal = static () => StandardStream.InputIsTerminal,
            InputFile = static () => StandardStream.InputFile,
            OutputIsTerminal = static () => StandardStream.OutputIsTerminal,
            CatchSignals = signals.Catch,
        };

        // A list rather than the array: the parser goes through it by its interface, which lists have ready and arrays have not.
        var arguments = new List<string>(args.Length);
        foreach (var argument in args)
        {
            arguments.Add(argument);
        }

        var exitCode = CommandLine.RunAsync(arguments, session, signals.Token).GetAwaiter().GetResult();
        return exitCode == ExitCode.Interrupted ? ExitCode.OfSignal(signals.First) : exitCode;
    }

    /// <summary>The signals that ask a process to end.</summary>
    private sealed class Signals : IDisposable
    {
        private readonly CancellationTokenSource _cancel = new();
        private readonly List<PosixSignalRegistration> _registrations = [];
        private int _first;

        public CancellationToken Token => _cancel.Token;

        /// <summary>The one that came first.</summary>
        public PosixSignal First => (PosixSignal)_first;

        /// <summary>From here on they cancel. Asking again changes nothing.</summary>
        public void Catch()
        {
            if (_registrations.Count > 0)
            {
                return;
            }

            foreach (var signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
            {
                _registrations.Add(PosixSignalRegistration.Create(signal, Stop));
            }
        }

        public void Dispose()
        {
            _registrations.ForEach(static registration => registration.Dispose());
            _cancel.Dispose();
        }

        private void Stop(PosixSignalContext context)
        {
            context.Cancel = true; // the verb cleans up and ends by itself
            if (Interlocked.CompareExchange(ref _first, (int)context.Signal, 0) == 0)
            {
                // Not on this thread: what is cancelled may run on for a while.
                ThreadPool.QueueUserWorkItem(static source => ((CancellationTokenSource)source!).Cancel(), _cancel);
            }
        }
    }
}
