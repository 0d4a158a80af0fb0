using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using VhdCore.Storage.Linux;
using VhdCore.Testing;

namespace VhdCore.Benchmarks.Programs;

/// <summary>Two threads that pread and pwrite what a file has of data, and nothing else: what a conversion cannot be much faster than.</summary>
internal static class Copier
{
    private const int Threads = 2;
    private const int ChunkSize = 256 << 10; // bytes; larger ones were not faster

    public static int Run(string sourcePath, string targetPath)
    {
        using var source = File.OpenHandle(sourcePath);
        using var target = File.OpenHandle(targetPath, FileMode.Create, FileAccess.ReadWrite);
        var length = RandomAccess.GetLength(source);
        var clock = Stopwatch.StartNew();
        RandomAccess.SetLength(target, length);
        var chunks = new ChunkPlan(source, length);
        var threads = new Thread[Threads];
        for (var i = 0; i < Threads; i++)
        {
            threads[i] = new Thread(() => Copy(source, target, chunks));
            threads[i].Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"seconds={clock.Elapsed.TotalSeconds:F4}"));
        return 0;
    }

    private static void Copy(Microsoft.Win32.SafeHandles.SafeFileHandle source, Microsoft.Win32.SafeHandles.SafeFileHandle target, ChunkPlan chunks)
    {
        using var buffer = new NativeBuffer(ChunkSize);
        while (chunks.TryTake(out var offset, out var count))
        {
            while (count > 0)
            {
                var read = LinuxCalls.PRead(source, buffer.Address, count, offset);
                var written = read > 0 ? LinuxCalls.PWrite(target, buffer.Address, read, offset) : read;
                if (read <= 0 || written != read)
                {
                    throw new IOException(read <= 0 && Marshal.GetLastPInvokeError() == 0 ? "The source was cut." : Marshal.GetLastPInvokeErrorMessage());
                }

                offset += read;
                count -= (int)read;
            }
        }
    }

    /// <summary>Gives the data of a file out in rising chunks, to any thread.</summary>
    private sealed class ChunkPlan(Microsoft.Win32.SafeHandles.SafeFileHandle source, long length)
    {
        private readonly Lock _lock = new();
        private long _offset;
        private long _dataEnd;

        public bool TryTake(out long offset, out int count)
        {
            lock (_lock)
            {
                if (_offset >= _dataEnd)
                {
                    var data = LinuxCalls.LSeek(source, _offset, LinuxCalls.SEEK_DATA);
                    if (data < 0 || data >= length)
                    {
                        (offset, count) = (0, 0);
                        return false;
                    }

                    _offset = data;
                    _dataEnd = LinuxCalls.LSeek(source, data, LinuxCalls.SEEK_HOLE);
                }

                offset = _offset;
                count = (int)Math.Min(ChunkSize, _dataEnd - offset);
                _offset += count;
                return true;
            }
        }
    }
}
