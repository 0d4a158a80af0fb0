using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Testing;

namespace VhdCore.Tests.Model;

/// <summary>One random request after the other, and the bytes that the disk then holds. For every format.</summary>
/// <param name="model">What the disk holds.</param>
/// <param name="random">Picks.</param>
/// <param name="largest">Bytes of the largest request.</param>
internal sealed class DeviceSteps(byte[] model, Random random, int largest)
{
    /// <summary>What the disk holds.</summary>
    public ReadOnlySpan<byte> Model => model;

    /// <summary>A read, a write, zeros, a trim or a flush, anywhere.</summary>
    public async Task StepAsync(IBlockDevice device, string when)
    {
        var (offset, length) = Pick();
        switch (random.Next(8))
        {
            case < 4:
                await WriteAsync(device, offset, length);
                break;

            case 4:
                Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(offset, length));
                model.AsSpan(offset, length).Clear();
                break;

            case 5:
                await TrimAsync(device, offset, length, when);
                break;

            case 6:
                Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
                break;

            default:
                await CompareAsync(device, when);
                break;
        }
    }

    /// <summary>Writes anywhere.</summary>
    public Task WriteAsync(IBlockDevice device)
    {
        var (offset, length) = Pick();
        return WriteAsync(device, offset, length);
    }

    /// <summary>Reads and maps the whole disk.</summary>
    public async Task CompareAsync(IBlockDevice device, string when)
    {
        using var seen = new NativeBuffer(model.Length);
        Assert.Equal(BlockStatus.Ok, await device.ReadAsync(0, seen.Buffers));
        Assert.True(seen.Span.SequenceEqual(model), $"{when}: byte {seen.Span.CommonPrefixLength(model)} differs");
        for (long offset = 0; offset < model.Length;)
        {
            var run = await device.MapAsync(offset, model.Length - offset);
            Assert.Equal(BlockStatus.Ok, run.Status);
            Assert.Equal(offset, run.Offset);
            Assert.InRange(run.Length, 1, model.Length - offset);
            Assert.True(!run.IsZero || !model.AsSpan((int)offset, (int)run.Length).ContainsAnyExcept((byte)0), when);
            offset += run.Length;
        }
    }

    private async Task WriteAsync(IBlockDevice device, int offset, int length)
    {
        using var buffer = new NativeBuffer(length + 1);
        random.NextBytes(buffer.Span);
        Assert.Equal(BlockStatus.Ok, await device.WriteAsync(offset, buffer.Slice(0, length)));
        buffer.Span[..length].CopyTo(model.AsSpan(offset));
    }

    private async Task TrimAsync(IBlockDevice device, int offset, int length, string when)
    {
        Assert.Equal(BlockStatus.Ok, await device.TrimAsync(offset, length));
        using var seen = new NativeBuffer(length + 1);
        Assert.Equal(BlockStatus.Ok, await device.ReadAsync(offset, seen.Slice(0, length)));
        for (var i = 0; i < length; i++)
        {
            Assert.True(seen.Span[i] == 0 || seen.Span[i] == model[offset + i], $"{when}: byte {offset + i} is neither zero nor what it was");
            model[offset + i] = seen.Span[i];
        }
    }

    private (int Offset, int Length) Pick()
    {
        var offset = random.Next(model.Length);
        var length = random.Next(3) switch { 0 => random.Next(40), 1 => random.Next(Math.Max(41, largest / 15)), _ => random.Next(largest) };
        return (offset, Math.Min(length, model.Length - offset));
    }
}
