using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>
/// VHDX images cut at every structure, and with every field at its extremes: opened read-only, for writing, and written to. VHDKIT_FUZZ_LENGTHS=all cuts at
/// every byte of the structures.
/// </summary>
public sealed class VhdxDamageTests(ITestOutputHelper output)
{
    private const int MiB = 1 << 20;
    private const int Page = 4096;
    private const string BaseId = "10000001-0002-0003-0405-060708090a0b";

    private static readonly PlainVhdxBuilder Base = new() { Blocks = new() { [0] = new(6, Fill(1)), [2] = new(6, Fill(2)), [3] = new(6, Fill(3)) } };

    public static TheoryData<string> Images => ["dynamic", "dynamic, dirty", "differencing", "differencing, dirty"];

    [Theory]
    [MemberData(nameof(Images))]
    public async Task A_file_cut_short_anywhere_is_refused_or_keeps_what_it_has(string kind)
    {
        var (builder, image, parent) = Make(kind);
        var truth = new Truth(image, parent);
        var damage = new VhdxDamage(image, parent);
        var uses = new int[3];
        foreach (var length in Lengths(builder, image.Length))
        {
            uses[(int)await damage.CutAsync(length, () => truth.CutAt(length))]++;
        }

        var summary = $"{kind}: {uses.Sum()} lengths, {uses[0]} refused, {uses[1]} read only, {uses[2]} read and written";
        output.WriteLine(summary);
        Assert.True(uses[0] > 100 && uses[2] > 50, summary);
    }

    [Theory]
    [MemberData(nameof(Images))]
    public async Task A_field_at_its_extremes_is_refused_or_changes_nothing_that_could_be_read(string kind)
    {
        var (builder, image, parent) = Make(kind);
        var damage = new VhdxDamage(image, parent);
        var uses = new int[3];
        foreach (var (offset, size) in Fields(builder, kind.EndsWith("dirty", StringComparison.Ordinal)))
        {
            foreach (var value in Extremes(size, image.Length))
            {
                uses[(int)await damage.ChangeAsync($"{kind}, {size} bytes at {offset} = 0x{value:X}", Change(image, offset, size, value))]++;
            }
        }

        var summary = $"{kind}: {uses.Sum()} values, {uses[0]} refused, {uses[1]} read only, {uses[2]} read and written";
        output.WriteLine(summary);
        Assert.True(uses[0] > 20 && uses[2] > 20, summary);
    }

    /// <summary>From the longest on down: around the edges of everything that a reader looks at, and each page; or every byte of it.</summary>
    private static IEnumerable<int> Lengths(PlainVhdxBuilder builder, int fileLength)
    {
        var structures = Structures(builder, fileLength);
        for (var length = fileLength - 1; length >= 0; length--)
        {
            var isInside = structures.Exists(structure => length >= structure.Start - 2 && length <= structure.End + 2);
            var isAtEdge = structures.Exists(structure => Math.Abs(length - structure.Start) <= 2 || Math.Abs(length - structure.End) <= 2);
            var isAtPage = (length + 1) % Page <= 2 && (isInside || (length + 1) % (16 * Page) <= 2);
            if (isAtEdge || isAtPage || (isInside && (FuzzBudget.TriesEveryLength || length % 61 == 0)))
            {
                yield return length;
            }
        }
    }

    /// <summary>What a reader looks at, up to where it stops looking; and the beginnings and ends of blocks.</summary>
    private static List<(long Start, long End)> Structures(PlainVhdxBuilder builder, long fileLength)
    {
        var structures = new List<(long Start, long End)>
        {
            (0, 520),
            (65536, 65536 + Page),
            (131072, 131072 + Page),
            (196608, 196608 + 80),
            (262144 - 16, 262144 + 80),
            (327680 - 16, 327680 + 16),
            (PlainVhdxBuilder.LogOffset, PlainVhdxBuilder.LogOffset + (4 * Page)),
            (builder.MetadataOffset - 16, builder.MetadataOffset + 256),
            (builder.MetadataOffset + 65536 - 16, builder.MetadataOffset + 65536 + 400),
            (builder.BatOffset - 16, builder.BatOffset + 64),
            (builder.DataOffset - 16, builder.DataOffset + 1040),
        };
        for (var start = builder.DataOffset + MiB; start <= fileLength; start += MiB)
        {
            structures.Add((start - 1040, Math.Min(fileLength, start + 1040)));
        }

        return structures;
    }

    private static IEnumerable<(long Offset, int Size)> Fields(PlainVhdxBuilder builder, bool isDirty)
    {
        // Sequence number, identifiers, log version, version, log length, log offset.
        foreach (var (at, size) in new[] { (8, 8), (16, 8), (32, 8), (48, 8), (64, 2), (66, 2), (68, 4), (72, 8) })
        {
            yield return (65536 + at, size);
        }

        yield return (196608 + 8, 4); // how many regions
        for (var region = 0; region < 2; region++)
        {
            foreach (var (at, size) in new[] { (0, 8), (16, 8), (24, 4), (28, 4) })
            {
                yield return (196608 + 16 + (32 * region) + at, size);
            }
        }

        yield return (builder.MetadataOffset + 10, 2); // how many items
        for (var item = 0; item < (builder.Locator.Count > 0 ? 6 : 5); item++)
        {
            foreach (var (at, size) in new[] { (0, 8), (16, 4), (20, 4), (24, 4) })
            {
                yield return (builder.MetadataOffset + 32 + (32 * item) + at, size);
            }
        }

        // Block size, flags, disk size, sector sizes, identifier; the locator's count and first entry.
        foreach (var (at, size) in new[] { (0, 4), (4, 4), (8, 8), (16, 4), (20, 4), (24, 8), (40 + 18, 2), (40 + 20, 4), (40 + 24, 4), (40 + 28, 2), (40 + 30, 2) })
        {
            if (at < 40 || builder.Locator.Count > 0)
            {
                yield return (builder.MetadataOffset + 65536 + at, size);
            }
        }

        for (var block = 0; block < 4 && !isDirty; block++)
        {
            yield return (builder.EntryOffset(block), 8);
        }

        if (builder.Locator.Count > 0)
        {
            yield return (builder.BitmapEntryOffset(0), 8);
        }

        // The entry's length, tail, sequence number, descriptor count, identifier, file offsets; the descriptors' fields.
        foreach (var at in isDirty ? new[] { 8, 12, 16, 24, 32, 48, 56, 64, 64 + 8, 64 + 16, 64 + 24, 96, 96 + 8, 96 + 16 } : [])
        {
            yield return (PlainVhdxBuilder.LogOffset + at, at is 8 or 12 or 24 or 64 or 96 ? 4 : 8);
        }
    }

    private static IEnumerable<ulong> Extremes(int size, int fileLength)
    {
        var max = size == 8 ? ulong.MaxValue : (1UL << (size * 8)) - 1;
        ulong[] values =
        [
            0, 1, 2, 6, 7, 512, MiB, MiB + 6, (4UL * MiB) + 6, (4UL * MiB) + 7, (ulong)fileLength, (ulong)fileLength - MiB + 6, 1UL << 40, 64UL << 40, (max / 2) + 1, max - 1, max,
        ];
        return values.Where(value => value <= max).Distinct();
    }

    /// <summary>One value, in both copies where there are two, with the checksums right.</summary>
    private static IEnumerable<(long Offset, byte[] Bytes)> Change(byte[] image, long offset, int size, ulong value)
    {
        if (offset >= MiB && (offset >= 2 * MiB || image[MiB] != 'l'))
        {
            var bytes = new byte[size];
            PlainVhdxBytes.Number(bytes, 0, value, size);
            yield return (offset, bytes);
            yield break;
        }

        var (start, length) = offset switch { < 196608 => (65536, Page), < MiB => (196608, 65536), _ => (MiB, 3 * Page) };
        var summed = image[start..(start + length)];
        PlainVhdxBytes.Number(summed, offset - start, value, size);
        PlainVhdxBytes.Mend(summed, 0, length);
        yield return (start, summed);
        if (start < MiB)
        {
            // The other header has another sequence number, which is left alone unless it is what changes.
            var copy = (byte[])summed.Clone();
            if (start == 65536 && offset != 65536 + 8)
            {
                Array.Copy(image, 131072 + 8, copy, 8, 8);
                PlainVhdxBytes.Mend(copy, 0, length);
            }

            yield return (start == 65536 ? 131072 : 262144, copy);
        }
    }

    private static (PlainVhdxBuilder Builder, byte[] Image, byte[]? Parent) Make(string kind)
    {
        var isChild = kind.StartsWith("differencing", StringComparison.Ordinal);
        var builder = isChild
            ? new PlainVhdxBuilder
            {
                DataWriteId = PlainVhdxBytes.Identifier("10000002-0002-0003-0405-060708090a0b"),
                Locator = [("parent_linkage", BaseId), ("relative_path", "base.vhdx")],
                Blocks = new() { [0] = new(6, Fill(6)), [1] = new(2), [2] = new(7, Fill(7)) { HasSector = sector => sector % 5 < 2 } },
            }
            : new PlainVhdxBuilder { Blocks = new() { [0] = new(6, Fill(4)), [1] = new(2), [3] = new(6, Fill(5)) } };
        var image = builder.Build();
        if (isChild)
        {
            // A block behind the bits, which otherwise lie last and so are cut first.
            PlainVhdxBytes.Number(image, builder.EntryOffset(3), (ulong)image.Length + 6, 8);
            image = [.. image, .. Fill(8)];
        }

        if (kind.EndsWith("dirty", StringComparison.Ordinal))
        {
            // The log wants the file only as long as the first block's half, so that a shorter one may still be replayed.
            var enough = (ulong)builder.DataOffset + (MiB / 2);
            var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001")) { Flushed = enough, Last = enough };
            log.Add(log.Take(builder.BatOffset, old: 0), log.Take(builder.BatOffset + Page, old: 0x55));
            log.MarkDirty();
        }

        return (builder, image, isChild ? Base.Build() : null);
    }

    private static byte[] Fill(int seed)
    {
        var bytes = new byte[MiB];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>What a disk holds, and where in the leaf's file that lies, by the independent reader.</summary>
    private sealed class Truth
    {
        private const int Sector = 512;

        private readonly byte[] _content;
        private readonly long[] _places; // of each sector in the leaf's file; -1 where it is not there

        public Truth(byte[] image, byte[]? parent)
        {
            using var chain = PlainVhdxChain.Open([.. new[] { image, parent }.OfType<byte[]>().Select(file => new MemoryStream(file, writable: false))]);
            _content = chain.ReadAll();
            _places = [.. Enumerable.Range(0, _content.Length / Sector).Select(sector => chain.Find(sector) is (0, var place) ? place : -1)];
        }

        /// <summary>The content when the file ends early: what a block then lacks is zeros.</summary>
        public byte[] CutAt(int length)
        {
            var content = (byte[])_content.Clone();
            for (var sector = 0; sector < _places.Length; sector++)
            {
                if (_places[sector] > length - Sector)
                {
                    var left = (int)Math.Max(0, length - _places[sector]);
                    content.AsSpan((sector * Sector) + left, Sector - left).Clear();
                }
            }

            return content;
        }
    }
}
