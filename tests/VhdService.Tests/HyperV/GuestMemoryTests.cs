using VhdService.HyperV;
using VhdService.Testing;

namespace VhdService.Tests.HyperV;

public sealed class GuestMemoryTests : IDisposable
{
    private readonly GuestRam _ram = new(4, seed: 1);

    [Theory]
    [InlineData(0UL, 0x4000L, true)]
    [InlineData(0UL, 0x4001L, false)]
    [InlineData(0x3FFFUL, 1L, true)]
    [InlineData(0x3FFFUL, 2L, false)]
    [InlineData(0x4000UL, 0L, true)]
    [InlineData(0x4000UL, 1L, false)]
    [InlineData(0x4001UL, 0L, false)]
    [InlineData(ulong.MaxValue, 1L, false)]
    [InlineData(ulong.MaxValue, 2L, false)]
    [InlineData(0xFFFF_FFFF_FFFF_F000UL, 0x1000L, false)]
    [InlineData(0UL, -1L, false)]
    [InlineData(0x1000UL, long.MinValue, false)]
    [InlineData(0UL, long.MaxValue, false)]
    public void Only_ranges_inside_memory_have_an_address(ulong address, long length, bool isMemory) =>
        Assert.Equal(isMemory, _ram.Memory.TryGetAddress(address, length, out _));

    [Fact]
    public void Copies_cross_pages()
    {
        byte[] content = [.. Enumerable.Range(0, 5000).Select(i => (byte)i)];
        Assert.True(_ram.Memory.TryWrite(0x0FF0, content));
        var read = new byte[content.Length];
        Assert.True(_ram.Memory.TryRead(0x0FF0, read));
        Assert.Equal(content, read);
    }

    [Fact]
    public void What_is_partly_outside_is_not_written_at_all()
    {
        Assert.False(_ram.Memory.TryWrite(0x3000, Enumerable.Repeat((byte)1, 4097).ToArray()));
        Assert.False(_ram.Page(3).ContainsAnyExcept((byte)0));
        Assert.False(_ram.Memory.TryWrite(ulong.MaxValue - 2, new byte[8]));
        Assert.False(_ram.Memory.TryRead(ulong.MaxValue - 2, new byte[8]));
    }

    [Fact]
    public void Memory_in_pieces_is_copied_across_them()
    {
        var pieces = new Pieces(_ram.Memory);
        byte[] content = [.. Enumerable.Range(0, 6000).Select(i => (byte)(i * 7))];
        Assert.True(pieces.TryWrite(0x800, content));
        var read = new byte[content.Length];
        Assert.True(pieces.TryRead(0x800, read));
        Assert.Equal(content, read);
        Assert.Equal(content[..0x800], _ram.Page(3)[0x800..].ToArray()); // page 0 of the guest lies last
    }

    public void Dispose() => _ram.Dispose();

    /// <summary>The same pages in reverse: no two follow each other.</summary>
    private sealed class Pieces(IGuestMemory pages) : IGuestMemory
    {
        public bool TryGetAddress(ulong guestPhysicalAddress, long length, out nint address)
        {
            address = 0;
            var page = guestPhysicalAddress / 4096;
            var offset = guestPhysicalAddress % 4096;
            return page < 4 && length >= 0 && (ulong)length <= 4096 - offset && pages.TryGetAddress(((3 - page) * 4096) + offset, length, out address);
        }
    }
}
