using System.Runtime.InteropServices;

namespace VhdCli.Output;

/// <summary>
/// Standard input, output or error, straight to the descriptor. The framework's own console stream takes a pipe without a reader for success; what is
/// written there may be a disk, so it is an error here.
/// </summary>
internal sealed partial class StandardStream : Stream
{
    private const int CurrentPosition = 1; // SEEK_CUR
    private const int Interrupted = 4; // EINTR
    private const int BrokenPipe = 32; // EPIPE

    private readonly int _descriptor;

    private StandardStream(int descriptor) => _descriptor = descriptor;

    public override bool CanRead => _descriptor == 0;

    public override bool CanSeek => false;

    public override bool CanWrite => _descriptor != 0;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public static Stream OpenInput() => OperatingSystem.IsWindows() ? Console.OpenStandardInput() : new StandardStream(0);

    public static Stream OpenOutput() => OperatingSystem.IsWindows() ? Console.OpenStandardOutput() : new StandardStream(1);

    public static Stream OpenError() => OperatingSystem.IsWindows() ? Console.OpenStandardError() : new StandardStream(2);

    /// <summary>Standard error is a terminal.</summary>
    public static bool ErrorIsTerminal => OperatingSystem.IsWindows() ? !Console.IsErrorRedirected : IsATerminal(2) == 1;

    /// <summary>Standard input is a terminal.</summary>
    public static bool InputIsTerminal => OperatingSystem.IsWindows() ? !Console.IsInputRedirected : IsATerminal(0) == 1;

    /// <summary>A name for standard input where that is a file or a block device, and nobody has read from it yet; only Linux has one.</summary>
    public static string? InputFile =>
        OperatingSystem.IsLinux() && Targets.FileIdentity.Of("/dev/stdin").Kind is Targets.FileKind.Regular or Targets.FileKind.BlockDevice && Seek(0, 0, CurrentPosition) == 0 ? "/dev/stdin" : null;

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

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override unsafe int Read(Span<byte> buffer)
    {
        while (true)
        {
            nint count;
            fixed (byte* bytes = buffer)
            {
                // Safety: the span is pinned for the call, and its own length is given.
                count = ReadFrom(_descriptor, bytes, buffer.Length);
            }

            if (count >= 0)
            {
                return (int)count;
            }

            if (Marshal.GetLastPInvokeError() is var error && error != Interrupted)
            {
                throw new IOException($"standard input cannot be read: {Marshal.GetPInvokeErrorMessage(error)}");
            }
        }
    }

    // On one other thread until the buffer is full: a pipe gives 64 KiB at a time, which is little for a way from thread to thread.
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        new(Task.Run(() => ReadAtLeast(buffer.Span, buffer.Length, throwOnEndOfStream: false), cancellationToken));

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    // Safety: reads exactly `count` bytes from `bytes`, which the caller pins.
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint WriteTo(int descriptor, byte* bytes, nint count);

    // Safety: writes at most `count` bytes to `bytes`, which the caller pins.
    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static unsafe partial nint ReadFrom(int descriptor, byte* bytes, nint count);

    // Safety: takes and gives numbers only.
    [LibraryImport("libc", EntryPoint = "lseek")]
    private static partial long Seek(int descriptor, long offset, int whence);

    // Safety: takes and gives numbers only.
    [LibraryImport("libc", EntryPoint = "isatty")]
    private static partial int IsATerminal(int descriptor);
}
