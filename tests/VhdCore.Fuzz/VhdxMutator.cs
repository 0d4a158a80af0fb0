using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>Damages small VHDX images where their structures are, and makes most checksums right again, so that readers get past them.</summary>
internal static class VhdxMutator
{
    public const string Leaf = "leaf.vhdx";

    private const int MiB = 1 << 20;
    private const string BaseId = "10000001-0002-0003-0405-060708090a0b";

    private static readonly byte[] Session = PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001");

    private static readonly ulong[] Values =
        [0, 1, 2, 3, 6, 7, 511, 512, 4096, 65536, MiB, 2UL * MiB, 4UL * MiB, 5UL * MiB, 6UL * MiB, 7UL * MiB, 1UL << 30, 0x7FFFFFFF, 0xFFFFFFFF, 1UL << 40, 64UL << 40, ulong.MaxValue];

    private static readonly (PlainVhdxBuilder Builder, byte[] Image)[] Templates = [.. MakeTemplates()];

    private static readonly byte[] Base = new PlainVhdxBuilder { DiskSize = 6 * MiB, Blocks = new() { [0] = new(6, Fill(1)), [2] = new(6, Fill(2)), [5] = new(6, Fill(3)) } }.Build();

    /// <summary>The image of a seed, damaged unless <paramref name="isSound"/>, and its parent beside it.</summary>
    public static FuzzCase Mutate(int seed, bool isSound = false)
    {
        var random = new Random(seed);
        var (builder, template) = Templates[random.Next(Templates.Length)];
        var image = template.ToArray();
        var count = isSound ? 0 : random.Next(1, 4);
        for (var i = 0; i < count; i++)
        {
            Damage(image, builder, random);
        }

        if (!isSound && random.Next(5) > 0)
        {
            Mend(image);
        }

        var length = isSound ? 0 : random.Next(12) switch { 0 => random.Next(image.Length), 1 => image.Length - random.Next(1, 3 * MiB), 2 => image.Length + random.Next(1, 3 * MiB), _ => 0 };
        if (length > 0)
        {
            Array.Resize(ref image, length);
        }

        return new FuzzCase($"VHDX of seed {seed}", Leaf, new Dictionary<string, byte[]> { [Leaf] = image, ["base.vhdx"] = Base });
    }

    private static void Damage(byte[] image, PlainVhdxBuilder builder, Random random)
    {
        var entries = (int)builder.EntryOffset(0);
        var (start, length) = random.Next(9) switch
        {
            0 => (65536 * random.Next(1, 3), 80),
            1 => (196608 + (65536 * random.Next(2)), 96),
            2 => ((int)builder.MetadataOffset, 32 + (6 * 32)),
            3 => ((int)builder.MetadataOffset + 65536, 300),
            4 or 5 or 6 => (entries, 6 * 8),
            7 => ((int)builder.BitmapEntryOffset(0), 8),
            _ => ((int)PlainVhdxBuilder.LogOffset, 4 * 4096),
        };
        var isBothCopies = start < MiB && random.Next(3) > 0;
        if (start + length > image.Length)
        {
            return;
        }

        var size = 1 << random.Next(4);
        var at = start + (random.Next(length / size) * size);
        var value = random.Next(3) switch
        {
            0 => (ulong)random.NextInt64(),
            1 => ((ulong)random.Next(1, 12) << 20) + (ulong)random.Next(8),
            _ => Values[random.Next(Values.Length)] + (ulong)random.Next(-1, 2),
        };
        PlainVhdxBytes.Number(image, at, size == 8 ? value : value & ((1UL << (size * 8)) - 1), size);
        if (isBothCopies)
        {
            var other = start is 65536 or 196608 ? 65536 : -65536;
            Array.Copy(image, at, image, at + other, size);
        }
    }

    private static void Mend(byte[] image)
    {
        foreach (var (at, size) in new[] { (65536, 4096), (131072, 4096), (196608, 65536), (262144, 65536), (MiB, 3 * 4096) })
        {
            if (at < MiB || image[at] == 'l')
            {
                PlainVhdxBytes.Mend(image, at, size);
            }
        }
    }

    private static IEnumerable<(PlainVhdxBuilder Builder, byte[] Image)> MakeTemplates()
    {
        foreach (var sectorSize in new[] { 512, 4096 })
        {
            foreach (var isDirty in new[] { false, true })
            {
                yield return Make(new PlainVhdxBuilder { DiskSize = 6 * MiB, SectorSize = sectorSize, Blocks = new() { [0] = new(6, Fill(4)), [1] = new(2), [3] = new(6, Fill(5)), [4] = new(3) } }, isDirty);
                yield return Make(
                    new PlainVhdxBuilder
                    {
                        DiskSize = 6 * MiB,
                        DataWriteId = PlainVhdxBytes.Identifier("10000002-0002-0003-0405-060708090a0b"),
                        Locator = [("parent_linkage", BaseId), ("relative_path", "base.vhdx")],
                        Blocks = new() { [0] = new(7, Fill(6)) { HasSector = sector => sector % 5 < 2 }, [1] = new(2), [2] = new(7, Fill(7)) { HasSector = sector => sector > 1000 }, [3] = new(6, Fill(8)) },
                    },
                    isDirty);
            }
        }
    }

    private static (PlainVhdxBuilder Builder, byte[] Image) Make(PlainVhdxBuilder builder, bool isDirty)
    {
        var image = builder.Build();
        if (isDirty)
        {
            var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, Session);
            log.Add(log.Take(builder.BatOffset, old: 0), log.Take(builder.BatOffset + 4096, old: 0x55));
            log.MarkDirty();
        }

        return (builder, image);
    }

    private static byte[] Fill(int seed)
    {
        var bytes = new byte[MiB];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
