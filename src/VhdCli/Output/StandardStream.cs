using System.Runtime.InteropServices;

namespace VhdCli.Output;

/// <summary>
/// Standard output or error, straight to the descriptor. The framework's own console stream takes a pipe without a reader for success; what is
/// written there may be a disk, so it is an error here.
/// </summary>
internal sealed partial class StandardStream : Stream
{
    private const int Interrupted = 4; // EINTR
    private const int BrokenPipe = 32; // EPIPE

    private readonly int _descriptor;

    private StandardStream(int descriptor) => _descriptor = descriptor;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public static Stream OpenOutput() => OperatingSystem.IsWindows() ? Console.OpenStandardOutput() : new StandardStream(1);

    public static Stream OpenError() => OperatingSystem.IsWindows() ? Console.OpenStandardError() : new StandardStream(2);

    /// <summary>Standard error is a terminal.</summary>
    public static bool ErrorIsTerminal => OperatingSystem.IsWindows() ? !Console.IsErrorRedirected : IsATerminal(2) == 1;

    /// <summary>Standard output is a terminal.</summary>
    public static bool OutputIsTerminal => OperatingSystem.IsWindows() ? !Console.IsOutputRedirected : IsATerminal(1) == 1;

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override unsafe void Write(ReadOnlySpan<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            nint written;
            fixed (byte* bytes = buffer)
            {
                // Safety: the span is pinned for the call, and its own length is given.
                written = WriteTo(_descriptor, bytes, buffer.Length);
            }

            if (written >= 0)
            {
                buffer = buffer[(int)written..];
            }
            else if (Marshal.GetLastPInvokeError() is var error && error != Interrupted)
            {
                var name = _descriptor == 1 ? "output" : "error";
                throw new IOException(
                    error == BrokenPipe ? $"standard {name}'s reader has gone away before everything was written (broken pipe)"
                    : $"standard {name} cannot be written: {Marshal.GetPInvokeErrorMessage(error)}");
            }
        }
    }

    // The default copies what it is given once more.
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        new(Task.Run(() => Write(buffer.Span), cancellationToken));

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    // Safety: reads exactly `count` bytes from `bytes`, which the caller pins.
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint WriteTo(int descriptor, byte* bytes, nint count);

    // Safety: takes and gives numbers only.
    [LibraryImport("libc", EntryPoint = "isatty")]
    private static partial int IsATerminal(int descriptor);
}
