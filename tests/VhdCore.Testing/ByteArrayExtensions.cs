using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Testing;

/// <summary>Whole arrays in and out of devices and storages, for tests that do not care about memory.</summary>
public static class ByteArrayExtensions
{
    /// <summary>Reads; anything but Ok is an exception.</summary>
    public static async ValueTask<byte[]> ReadBytesAsync(this IBlockDevice device, long offset, int length, CancellationToken cancellationToken = default)
    {
        using var buffer = new NativeBuffer(length);
        buffer.Span.Fill(0xA5);
        Require(await device.ReadAsync(offset, buffer.Buffers, cancellationToken), "read", offset, length);
        return buffer.Span.ToArray();
    }

    /// <summary>Writes, and answers as the device does.</summary>
    public static async ValueTask<BlockStatus> WriteBytesAsync(this IBlockDevice device, long offset, byte[] content, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        using var buffer = new NativeBuffer(content);
        return await device.WriteAsync(offset, buffer.Buffers, flags, cancellationToken);
    }

    /// <summary>Reads; anything but Ok is an exception.</summary>
    public static async ValueTask<byte[]> ReadBytesAsync(this IStorage storage, long offset, int length, CancellationToken cancellationToken = default)
    {
        using var buffer = new NativeBuffer(length);
        buffer.Span.Fill(0xA5);
        Require(await storage.ReadAsync(offset, buffer.Buffers, 0, length, cancellationToken), "read", offset, length);
        return buffer.Span.ToArray();
    }

    /// <summary>Writes, and answers as the storage does.</summary>
    public static async ValueTask<BlockStatus> WriteBytesAsync(this IStorage storage, long offset, byte[] content, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        using var buffer = new NativeBuffer(content);
        return await storage.WriteAsync(offset, buffer.Buffers, 0, content.Length, flags, cancellationToken);
    }

    private static void Require(BlockStatus status, string what, long offset, int length)
    {
        if (status != BlockStatus.Ok)
        {
            throw new InvalidOperationException($"The {what} of {length} bytes at {offset} ended as {status}.");
        }
    }
}
