using System.IO.Pipes;
using Microsoft.Win32.SafeHandles;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Storage.Linux;
using VhdCore.Storage.Uring;
using VhdCore.Testing;

namespace VhdCore.Tests.Storage.Uring;

/// <summary>Engines for one test, and files to open over them.</summary>
internal static class RingFixture
{
    /// <summary>An engine of one ring; skips the calling test where there is none.</summary>
    public static UringEngine Start(int firstFlagSet = 0)
    {
        var engine = UringEngine.TryStart(out var reason, workers: 1, firstFlagSet);
        Assert.SkipWhen(engine is null, $"No ring: {reason}.");
        return engine;
    }

    /// <summary>Opening for writing over an engine of the test's own.</summary>
    public static StorageOpenOptions Options(UringEngine engine, StorageCache cache = StorageCache.Writeback, CallerWaits waits = CallerWaits.Never) =>
        StorageOpenOptions.ForCreating with { Io = new IoSettings { Cache = cache, Waits = waits }, OwnEngine = engine };

    /// <summary>Goes on on the thread pool: a test that goes on on a ring's thread cannot wait for that ring's end.</summary>
    public static Task LeaveRingAsync() => Task.Run(static () => { });

    /// <summary>What the process has open of rings, and of files in a folder.</summary>
    public static IReadOnlyList<string> Descriptors(TempFolder folder) => [.. OpenFiles()
        .Where(target => target.Contains("io_uring", StringComparison.Ordinal) || target.StartsWith(folder.Path, StringComparison.Ordinal))
        .Order()];

    /// <summary>Eventfds that the process has; the runtime takes and gives back some of its own.</summary>
    public static int EventFdCount() => OpenFiles().Count(target => target.Contains("eventfd", StringComparison.Ordinal));

    private static IEnumerable<string> OpenFiles() => Directory.GetFileSystemEntries("/proc/self/fd").Select(link => new FileInfo(link).LinkTarget ?? "");

    /// <summary>The read end of a pipe as what requests are for: a read stays in flight until something is written, or it is cancelled.</summary>
    public sealed class Pipe : IIoTarget, IDisposable
    {
        private readonly AnonymousPipeServerStream _writer = new(PipeDirection.Out);
        private readonly SafePipeHandle _reader;
        private int _runs;
        private int _finished;

        public Pipe() => _reader = _writer.ClientSafePipeHandle;

        /// <summary>Requests that a thread did instead of a ring.</summary>
        public int Runs => Volatile.Read(ref _runs);

        /// <summary>Requests that have ended.</summary>
        public int Finished => Volatile.Read(ref _finished);

        public int Descriptor => (int)_reader.DangerousGetHandle();

        public ValueTask<BlockStatus> ReadAsync(IoEngine engine, BlockBuffers into, bool completesInline = true, CancellationToken cancellationToken = default)
        {
            var request = IoRequest.Rent(this, IoKind.Read, 0, into.Length).Moving(into, 0, WriteFlags.None);
            request.CompletesInline = completesInline;
            return request.StartAsync(engine, cancellationToken);
        }

        public void Write(params byte[] bytes)
        {
            _writer.Write(bytes);
            _writer.Flush();
        }

        public BlockStatus Run(IoRequest request)
        {
            Interlocked.Increment(ref _runs);
            return BlockStatus.Unsupported;
        }

        public BlockStatus? Judge(IoRequest request, int errno) => LinuxErrors.ToStatus(errno);

        public BlockStatus Finish(IoRequest request, BlockStatus status)
        {
            Interlocked.Increment(ref _finished);
            return status;
        }

        public void Dispose() => _writer.Dispose();
    }
}
