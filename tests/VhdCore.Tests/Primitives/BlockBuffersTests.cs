using System.Runtime.InteropServices;
using VhdCore.Primitives;
using VhdCore.Testing;

namespace VhdCore.Tests.Primitives;

public sealed unsafe class BlockBuffersTests
{
    [Fact]
    public void Copying_and_clearing_meet_every_byte_of_scattered_runs_and_no_other()
    {
        const int Seed = 7;
        var random = new Random(Seed);
        for (var round = 0; round < 500; round++)
        {
            var lengths = Enumerable.Range(0, random.Next(1, 9)).Select(_ => random.Next(4) == 0 ? 0 : random.Next(1, 40)).ToArray();
            var total = lengths.Sum();
            using var memory = new NativeBuffer(1000);
            using var list = new NativeBuffer(lengths.Length * sizeof(IoVec));
            var runs = MemoryMarshal.Cast<byte, IoVec>(list.Span);
            var places = new List<int>(); // of the request's bytes in memory, in order
            var at = random.Next(5);
            for (var i = 0; i < lengths.Length; i++)
            {
                runs[i] = new IoVec(memory.Address + at, lengths[i]);
                places.AddRange(Enumerable.Range(at, lengths[i]));
                at += lengths[i] + random.Next(3);
            }

            var buffers = BlockBuffers.List(list.Address, lengths.Length, total);
            var start = random.Next(total + 1);
            var length = random.Next(total - start + 1);
            random.NextBytes(memory.Span);
            var before = memory.Span.ToArray();
            var wanted = places.GetRange(start, length);

            var copied = new byte[length];
            buffers.CopyTo(start, copied);
            Assert.Equal(wanted.Select(place => before[place]), copied);

            var source = new byte[length];
            random.NextBytes(source);
            buffers.CopyFrom(start, source);
            Check(wanted, index => source[index]);

            buffers.Clear(start, length);
            Check(wanted, _ => 0);

            void Check(List<int> touched, Func<int, byte> content)
            {
                var after = before.ToArray();
                for (var i = 0; i < touched.Count; i++)
                {
                    after[touched[i]] = content(i);
                }

                Assert.Equal(after, memory.Span.ToArray());
            }
        }
    }

    // Going over the list anew for every run would take hours here.
    [Fact]
    public void Copying_and_clearing_go_over_the_list_of_runs_once()
    {
        const int Count = 2 << 20;
        using var memory = new NativeBuffer(Count);
        using var list = new NativeBuffer(Count * sizeof(IoVec));
        var runs = MemoryMarshal.Cast<byte, IoVec>(list.Span);
        for (var i = 0; i < Count; i++)
        {
            runs[i] = new IoVec(memory.Address + (Count - 1 - i), 1); // the last byte first
        }

        var buffers = BlockBuffers.List(list.Address, Count, Count);
        var bytes = new byte[Count];
        new Random(1).NextBytes(bytes);

        buffers.CopyFrom(0, bytes);
        var copied = new byte[Count];
        buffers.CopyTo(0, copied);
        Assert.True(copied.AsSpan().SequenceEqual(bytes));
        copied.AsSpan().Reverse();
        Assert.True(copied.AsSpan().SequenceEqual(memory.Span));

        buffers.Clear(1, Count - 1);
        Assert.Equal(bytes[0], memory.Span[^1]);
        Assert.False(memory.Span[..^1].ContainsAnyExcept((byte)0));
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 11)]
    [InlineData(11, 0)]
    [InlineData(10, 1)]
    public void A_range_outside_the_request_is_refused(int start, int length)
    {
        using var memory = new NativeBuffer(10);
        var bytes = new byte[length];
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.Buffers.CopyTo(start, bytes));
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.Buffers.CopyFrom(start, bytes));
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.Buffers.Clear(start, length));
    }
}
