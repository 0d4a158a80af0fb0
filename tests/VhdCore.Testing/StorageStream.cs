using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Testing;

/// <summary>A storage as a stream to read, for readers that know nothing of storages.</summary>
internal sealed class StorageStream(IStorage storage) : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => storage.Length;

    public override long Position { get; set; }

    public override unsafe int Read(byte[] buffer, int offset, int count)
    {
        count = (int)Math.Min(count, Math.Max(0, Length - Position));
        fixed (byte* address = &buffer[offset])
        {
            // Safety: the array is pinned, and the storage answers at once.
            var reading = storage.ReadAsync(Position, BlockBuffers.Of((nint)address, count), 0, count);
            if (!reading.IsCompleted || reading.Result != BlockStatus.Ok)
            {
                throw new IOException("The storage did not answer.");
            }
        }

        Position += count;
        return count;
    }

    public override long Seek(long offset, SeekOrigin origin) =>
        Position = origin switch { SeekOrigin.Begin => offset, SeekOrigin.Current => Position + offset, _ => Length + offset };

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException("It is for reading.");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("It is for reading.");
}
