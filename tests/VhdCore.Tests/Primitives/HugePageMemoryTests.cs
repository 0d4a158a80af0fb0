using VhdCore.Primitives;

namespace VhdCore.Tests.Primitives;

public sealed unsafe class HugePageMemoryTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData((1 << 20) - 1)]
    [InlineData(1 << 20)]
    [InlineData((2 << 20) + 1)]
    [InlineData(5 << 20)]
    public void Memory_is_aligned_and_whole_and_can_be_given_back(int size)
    {
        for (var i = 0; i < 20; i++)
        {
            var memory = (byte*)HugePageMemory.Allocate(size);
            Assert.Equal(0, (nint)memory % (OperatingSystem.IsLinux() && size >= 1 << 20 ? 2 << 20 : 4096));
            new Span<byte>(memory, size).Fill(0xA5); // every byte is there
            Assert.Equal(0xA5, memory[size - 1]);
            HugePageMemory.Free(memory, size);
        }
    }
}
